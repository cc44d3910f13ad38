// The steps between the FFTs of the Toeplitz normal operator. One thread a voxel, no atomics, sums over
// coils in a fixed order. Rows go along the grid's y (in strides), columns along its x: the last axis of
// every array lies along neighbouring threads.
//
// spectrum  (2z, coils, y, x)         coil images, doubled along z
// work      (2y, planes, coils, 2x)   some z planes of it, doubled along y and x

typedef long long wide;

// spectrum = smaps * volume, zero in the padded half of z
extern "C" __global__ void pad_first(float2* spectrum, const float2* smaps, const float2* volume,
                                     int coils, int n_z, int doubled_z, int plane) {
    const int column = blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= plane) return;
    for (int row = blockIdx.y; row < doubled_z * coils; row += gridDim.y) {
        const int z = row / coils, coil = row % coils;
        float2 value = {0.0f, 0.0f};
        if (z < n_z) {
            const float2 s = smaps[((wide)coil * n_z + z) * plane + column];
            const float2 v = volume[(wide)z * plane + column];
            value.x = s.x * v.x - s.y * v.y;
            value.y = s.x * v.y + s.y * v.x;
        }
        spectrum[(wide)row * plane + column] = value;
    }
}

// out += scale * sum over coils of conj(smaps) * spectrum, the padded half of z left out
extern "C" __global__ void crop_first(float2* out, const float2* spectrum, const float2* smaps,
                                      int coils, int n_z, int plane, float scale) {
    const int column = blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= plane) return;
    for (int z = blockIdx.y; z < n_z; z += gridDim.y) {
        float2 sum = {0.0f, 0.0f};
        for (int coil = 0; coil < coils; coil++) {
            const float2 s = smaps[((wide)coil * n_z + z) * plane + column];
            const float2 w = spectrum[((wide)z * coils + coil) * plane + column];
            sum.x += s.x * w.x + s.y * w.y;
            sum.y += s.x * w.y - s.y * w.x;
        }
        const wide i = (wide)z * plane + column;
        float2 total = out[i];
        total.x += scale * sum.x;
        total.y += scale * sum.y;
        out[i] = total;
    }
}

// work = slab with y to the front, zero in the padded halves of y and x
extern "C" __global__ void pad_plane(float2* work, const float2* slab, int planes_coils, int n_y, int n_x,
                                     int doubled_y, int doubled_x) {
    const int column = blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= doubled_x) return;
    for (int row = blockIdx.y; row < doubled_y * planes_coils; row += gridDim.y) {
        const int y = row / planes_coils, image = row % planes_coils;
        float2 value = {0.0f, 0.0f};
        if (y < n_y && column < n_x) value = slab[((wide)image * n_y + y) * n_x + column];
        work[(wide)row * doubled_x + column] = value;
    }
}

// work *= kernel, a (planes, 2y, 2x) part of the transfer function
extern "C" __global__ void multiply(float2* work, const float* kernel, int planes, int coils, int doubled_y,
                                    int doubled_x) {
    const int column = blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= doubled_x) return;
    for (int row = blockIdx.y; row < doubled_y * planes; row += gridDim.y) {
        const int y = row / planes, plane = row % planes;
        const float k = kernel[((wide)plane * doubled_y + y) * doubled_x + column];
        for (int coil = 0; coil < coils; coil++) {
            const wide i = ((wide)row * coils + coil) * doubled_x + column;
            float2 value = work[i];
            value.x *= k;
            value.y *= k;
            work[i] = value;
        }
    }
}

// slab = the unpadded part of work, y back behind the coils
extern "C" __global__ void crop_plane(float2* slab, const float2* work, int planes_coils, int n_y, int n_x,
                                      int doubled_x) {
    const int column = blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= n_x) return;
    for (int row = blockIdx.y; row < planes_coils * n_y; row += gridDim.y) {
        const int image = row / n_y, y = row % n_y;
        slab[(wide)row * n_x + column] = work[((wide)y * planes_coils + image) * doubled_x + column];
    }
}
