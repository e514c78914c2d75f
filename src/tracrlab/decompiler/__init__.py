"""From weights back to programs: encodings, grammar, metrics, loading and checking."""
