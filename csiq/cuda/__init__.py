"""What only a GPU needs: fused kernels, reused buffers and plans, a memory plan, a second stream.

Nothing here is imported before a GPU is used, and importing it needs none: the drivers are written over the
array module, so that the tests run them on a CPU too.

===========================  =================================================================
:mod:`csiq.cuda.toeplitz`    the normal operator of one phase, coil batch by coil batch
:mod:`csiq.cuda.tv`          total variation along the phases: value and proximal operator
:mod:`csiq.cuda.kernels`     compiles ``toeplitz.cu`` and ``tv.cu``, and launches them
:mod:`csiq.cuda.memory`      what fits: coil batch, slab, what stays on the host; back-off
:mod:`csiq.cuda.stream`      a side stream for grading, and uploads one phase ahead
===========================  =================================================================
"""
