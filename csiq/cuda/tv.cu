// Total variation along the phases, one thread a voxel. N_PHASES is set when this is compiled, so that a
// voxel's variables live in registers; REAL is the type they are computed in.
//
// volumes, out  (N_PHASES, n_voxels)      dual  (N_PHASES - 1, n_voxels)

#ifndef REAL
#define REAL double
#endif
#define N_DUAL (N_PHASES - 1)

typedef long long wide;

struct Pair {
    REAL x, y;
};

__device__ static inline Pair to_disk(REAL x, REAL y, REAL mu) {
    const REAL size2 = x * x + y * y;
    const REAL factor = size2 <= mu * mu ? (REAL)1 : mu / sqrt(size2);
    return Pair{x * factor, y * factor};
}

// sum of mu |(Dx)_j| - Re(conj(u_j) (Dx)_j) with Dx = Dv - D D^H u
__device__ static inline REAL duality_gap(const Pair* steps, const Pair* u, REAL mu) {
    REAL total = 0;
#pragma unroll
    for (int j = 0; j < N_DUAL; j++) {
        REAL x = steps[j].x - 2 * u[j].x, y = steps[j].y - 2 * u[j].y;
        if (j > 0) { x += u[j - 1].x; y += u[j - 1].y; }
        if (j < N_DUAL - 1) { x += u[j + 1].x; y += u[j + 1].y; }
        total += mu * sqrt(x * x + y * y) - (u[j].x * x + u[j].y * y);
    }
    return total;
}

// Over-relaxed block coordinate ascent on the dual of each voxel, warm-started; writes dual and out
extern "C" __global__ void prox(const float2* volumes, float2* dual, float2* out, wide n_voxels, REAL mu,
                                REAL gap, int max_sweeps, REAL omega) {
    const wide i = (wide)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n_voxels) return;
    Pair v[N_PHASES], steps[N_DUAL], u[N_DUAL];
    REAL energy = 0;
#pragma unroll
    for (int p = 0; p < N_PHASES; p++) {
        const float2 value = volumes[p * n_voxels + i];
        v[p] = Pair{value.x, value.y};
        energy += v[p].x * v[p].x + v[p].y * v[p].y;
    }
#pragma unroll
    for (int j = 0; j < N_DUAL; j++) {
        const float2 start = dual[j * n_voxels + i];
        steps[j] = Pair{v[j + 1].x - v[j].x, v[j + 1].y - v[j].y};
        u[j] = to_disk(start.x, start.y, mu);
    }
    const REAL tolerance = gap * (REAL)0.5 * energy;
    for (int sweep = 0; sweep < max_sweeps; sweep++) {
#pragma unroll
        for (int j = 0; j < N_DUAL; j++) {
            REAL x = steps[j].x, y = steps[j].y;
            if (j > 0) { x += u[j - 1].x; y += u[j - 1].y; }
            if (j < N_DUAL - 1) { x += u[j + 1].x; y += u[j + 1].y; }
            const REAL half = (REAL)0.5 * omega, keep = 1 - omega;
            u[j] = to_disk(keep * u[j].x + half * x, keep * u[j].y + half * y, mu);
        }
        if (duality_gap(steps, u, mu) <= tolerance) break;
    }
#pragma unroll
    for (int p = 0; p < N_PHASES; p++) {
        Pair x = v[p];
        if (p > 0) { x.x -= u[p - 1].x; x.y -= u[p - 1].y; }
        if (p < N_DUAL) { x.x += u[p].x; x.y += u[p].y; }
        out[p * n_voxels + i] = float2{(float)x.x, (float)x.y};
    }
#pragma unroll
    for (int j = 0; j < N_DUAL; j++) dual[j * n_voxels + i] = float2{(float)u[j].x, (float)u[j].y};
}

// First stage of sum |x_(p+1) - x_p|: thread t adds voxels t, t + n_sums, ... into sums[t]
extern "C" __global__ void total_variation(const float2* volumes, double* sums, wide n_voxels, int n_sums) {
    const int t = blockIdx.x * blockDim.x + threadIdx.x;
    if (t >= n_sums) return;
    double total = 0;
    for (wide i = t; i < n_voxels; i += n_sums) {
        float2 before = volumes[i];
#pragma unroll
        for (int p = 1; p < N_PHASES; p++) {
            const float2 now = volumes[p * n_voxels + i];
            const double x = (double)now.x - before.x, y = (double)now.y - before.y;
            total += sqrt(x * x + y * y);
            before = now;
        }
    }
    sums[t] = total;
}
