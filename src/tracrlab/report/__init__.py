"""What the workflow made, for people: the index of results and the pages of the report."""
