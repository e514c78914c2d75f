"""The one exception that is shown to users as a sentence."""


class TracrLabError(Exception):
    """Wrong input: one sentence that names the thing, the value and the mend."""
