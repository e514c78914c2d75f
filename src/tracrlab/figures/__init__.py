"""Every picture, one function a figure; nothing imports from here but the command line."""
