"""Image quality: the network that grades, its patches, its reference grades and its training.

Quality sees magnitude volumes and voxel sizes; it knows nothing of k-space, coils or solvers.
"""
