"""Compiled algorithms inside pretrained language models: Tracr-injection, and past it."""
