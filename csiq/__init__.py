"""csiq."""
