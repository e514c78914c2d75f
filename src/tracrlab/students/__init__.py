"""Students: models with a narrower residual stream that compute what their teachers compute."""
