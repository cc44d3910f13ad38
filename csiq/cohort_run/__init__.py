"""Cohorts of raw scans that lie somewhere: reconstructed here or on a cluster, one folder a scan.

The digital cohort with simulated patients and readers is :mod:`csiq.cohort`.
"""
