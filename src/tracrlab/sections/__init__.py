"""The sections of the configuration, one module each; `tracrlab.config` puts them together."""
