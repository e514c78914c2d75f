"""Running the workflow on SLURM: what is checked at the start, and what keeps job arrays right."""
