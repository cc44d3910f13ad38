"""Whether a grade means more than the formula it was learned from: experiments that a grader can fail.

Every experiment takes an assessor (anything that :func:`csiq.quality.assessor.as_assessor` takes) and images,
and returns rows of a table. Images of simulated scans, research use only.
"""
