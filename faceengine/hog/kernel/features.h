// From gradients to Felzenszwalb's features: histograms of cells of 8x8 pixels, then each cell's
// relative to its neighbours.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "gradients.h"
#include "memory.h"
#include "vectors.h"

namespace {

constexpr int CELL = 8;     // pixels a side
constexpr int PLANES = 31;  // features of a cell: 18 signed and 9 unsigned orientations, 4 textures
constexpr int BEFORE = 4;   // zero cells before the features of a row or column (dlib's padding)
constexpr int BLOCKS = 8;   // histograms filled at a time, see fill_blocks()

// What a pixel adds to the four cells around it: left above, right above, left below, right below.
// Pixels are taken in blocks of 8x8 that have the same four, so the shares depend on the place within
// the block alone.
struct Shares {
    Floats4 at[CELL][CELL];
    Shares() {
        for (int y = 0; y < CELL; ++y) {
            for (int x = 0; x < CELL; ++x) {
                const float down = (y + 0.5f) / CELL, up = 1 - down;
                const float right = (x + 0.5f) / CELL, left = 1 - right;
                at[y][x] = Floats4{up * left, up * right, down * left, down * right};
            }
        }
    }
};
const Shares shares;

typedef Floats4 Block[SIGNED];

// Sum the magnitudes of 8 rows of pixels by block and orientation. One pixel is one addition of four
// numbers; neighbouring pixels often share their orientation, so eight blocks go abreast lest each
// addition wait for the one before.
void fill_blocks(const float* magnitude, const uint8_t* twice, long stride,
                 long blocks, Block* sums) {
    for (long block = 0; block < blocks; block += BLOCKS) {
        Floats4* const here = sums[block];
        std::memset((void*)here, 0, BLOCKS * sizeof(Block));
        for (int y = 0; y < CELL; ++y) {
            const float* const m = magnitude + y * stride + block * CELL;
            const uint8_t* const t = twice + y * stride + block * CELL;
            for (int x = 0; x < CELL; ++x) {
                const Floats4 share = shares.at[y][x];
#pragma GCC unroll 8
                for (int b = 0; b < BLOCKS; ++b) {
                    // 8 bytes times twice the orientation is the 16 bytes of its entry.
                    Floats4* const entry = (Floats4*)((char*)here + b * sizeof(Block) + 8 * size_t(t[x + CELL * b]));
                    *entry += share * m[x + CELL * b];
                }
            }
        }
    }
}

// One row of cells: for each orientation the histogram over all columns, and each cell's energy.
struct CellRow {
    long stride;
    Memory<float> values, energy;
    explicit CellRow(long stride)
        : stride(stride), values(zeros<float>(SIGNED * stride)), energy(zeros<float>(stride)) {}
    float* plane(int orientation) const { return values.get() + orientation * stride; }
};

// A cell gathers from four blocks: `above` and `below` are the rows of blocks that meet in its middle.
void gather_cells(const Block* above, const Block* below, long cells, const CellRow& row) {
    for (long cell = 0; cell < cells; ++cell) {
        const Block &a = above[cell], &b = above[cell + 1], &c = below[cell], &d = below[cell + 1];
        for (int o = 0; o < SIGNED; ++o) {
            row.plane(o)[cell] = (a[o][3] + b[o][2]) + (c[o][1] + d[o][0]);
        }
    }
    float* const energy = row.energy.get();
    for (long x = 0; x < row.stride; x += LANES) {
        Floats sum{};
        for (int o = 0; o < SIGNED / 2; ++o) {
            const Floats half = load(row.plane(o) + x) + load(row.plane(o + 9) + x);
            sum = fused(half, half, sum);
        }
        store(energy + x, sum);
    }
}

// One row of features: 31 planes, each with the zero cells that windows beyond the image see.
struct FeatureRow {
    long stride;
    Memory<float> values;
    explicit FeatureRow(long stride) : stride(stride), values(zeros<float>(PLANES * stride)) {}
    float* plane(int plane) const { return values.get() + plane * stride; }
};

// Features of the middle one of three rows of cells: each cell's histogram relative to the energy of
// the four 2x2 neighbourhoods that it is in, cut off at 0.2 of it.
void compute_features(const CellRow& above, const CellRow& middle, const CellRow& below, long count,
                      float* scratch, const FeatureRow& features) {
    const long stride = middle.stride;
    const float *up = above.energy.get(), *mid = middle.energy.get(), *low = below.energy.get();
    float *const bound = scratch, *const factor = scratch + 4 * stride;
    for (long x = 0; x < count; ++x) {
        bound[x] = mid[x + 1] + mid[x + 2] + low[x + 1] + low[x + 2];
        bound[stride + x] = up[x + 1] + up[x + 2] + mid[x + 1] + mid[x + 2];
        bound[2 * stride + x] = mid[x] + mid[x + 1] + low[x] + low[x + 1];
        bound[3 * stride + x] = up[x] + up[x + 1] + mid[x] + mid[x + 1];
    }
    for (int n = 0; n < 4; ++n) {
        for (long x = 0; x < count; ++x) {
            bound[n * stride + x] = 0.2f * std::sqrt(bound[n * stride + x] + 0.0001f);
            factor[n * stride + x] = 0.1f / bound[n * stride + x];
        }
    }
    for (long x = 0; x < count; x += LANES) {
        Floats bounds[4], factors[4], textures[4];
        for (int n = 0; n < 4; ++n) {
            bounds[n] = load(bound + n * stride + x);
            factors[n] = load(factor + n * stride + x);
            textures[n] = Floats{};
        }
        const long to = BEFORE + x;
        for (int o = 0; o < SIGNED; ++o) {
            const Floats value = load(middle.plane(o) + x + 1);
            Floats sum{};
            for (int n = 0; n < 4; ++n) {
                const Floats part = least(value, bounds[n]) * factors[n];
                textures[n] += part;
                sum += part;
            }
            store(features.plane(o) + to, sum);
        }
        for (int o = 0; o < SIGNED / 2; ++o) {
            const Floats value = load(middle.plane(o) + x + 1) + load(middle.plane(o + 9) + x + 1);
            Floats sum{};
            for (int n = 0; n < 4; ++n) sum = fused(least(value, bounds[n]), factors[n], sum);
            store(features.plane(SIGNED + o) + to, sum);
        }
        for (int n = 0; n < 4; ++n) store(features.plane(27 + n) + to, textures[n] * splat(2 * 0.2357f));
    }
    // The last vector may reach into the zero cells behind the row.
    for (int plane = 0; plane < PLANES; ++plane) {
        std::memset(features.plane(plane) + BEFORE + count, 0, (features.stride - BEFORE - count) * 4);
    }
}

}  // namespace
