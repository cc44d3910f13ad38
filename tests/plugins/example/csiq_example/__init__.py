"""One reader, grader, rule and solver for csiq."""
