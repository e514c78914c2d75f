"""What leaves Tracr Lab: zoos, models and their circuits in the forms that other tools read."""
