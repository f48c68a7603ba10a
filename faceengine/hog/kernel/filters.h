// The five filters: each a sum of outer products, a row filter and a column filter of one plane.

#pragma once

#include <cstdint>

#include "features.h"
#include "memory.h"
#include "vectors.h"

namespace {

constexpr int WINDOW = 10;  // cells a side
constexpr int BANKS = 5;    // faces from the front, turned left and right, tilted left and right

// dlib's model as native.py lays it out: outer products (parts), those of a bank together and in the
// order of their planes; part p of plane planes[p] has weights[20 p ..]: 10 of the row, 10 of the
// column. Thresholds, and the overlap above which the lesser of two boxes goes.
extern "C" struct FacesHogModel {
    int64_t first_part[BANKS + 1];
    const int32_t* planes;
    const float* weights;
    double thresholds[BANKS];
    double overlap_iou, overlap_covered;
    int64_t smallest_width, smallest_height;
};

// Ten unfinished rows of scores for each bank, in a ring: the row of window tops t is at t mod 10.
struct Scores {
    long stride;
    Memory<float> values;
    explicit Scores(long stride) : stride(stride), values(zeros<float>(BANKS * WINDOW * stride)) {}
    float* row(int bank, long top) const { return values.get() + (bank * WINDOW + (top + WINDOW) % WINDOW) * stride; }
};

// How many vectors of windows pass the filters together: each weight fetched then serves all of them,
// as far as their ten sums each fit into the registers.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int ABREAST = 2;
#else
constexpr int ABREAST = 1;
#endif

typedef Floats Sums[WINDOW][ABREAST];  // of ten window tops

// Add what one part gives to the sums: along the row first, then to every top.
inline void add_part(const float* features, const float* weights, Sums& sums) {
    Floats along[ABREAST]{};
#pragma GCC unroll 10
    for (int n = 0; n < WINDOW; ++n) {
        const Floats weight = splat(weights[n]);
#pragma GCC unroll 2
        for (int v = 0; v < ABREAST; ++v) along[v] = fused(load(features + n + v * LANES), weight, along[v]);
    }
#pragma GCC unroll 10
    for (int m = 0; m < WINDOW; ++m) {
        const Floats weight = splat(weights[WINDOW + m]);
#pragma GCC unroll 2
        for (int v = 0; v < ABREAST; ++v) sums[m][v] = fused(along[v], weight, sums[m][v]);
    }
}

// Add what one row of features, `y` from the top of the padded level, gives to the windows that it
// is in. Their sums stay in registers while all parts of a bank pass by.
void filter_row(const FacesHogModel& model, const FeatureRow& features, long y, long count, const Scores& scores) {
    for (int bank = 0; bank < BANKS; ++bank) {
        float* rows[WINDOW];
        for (int m = 0; m < WINDOW; ++m) rows[m] = scores.row(bank, y - m);
        for (long x = 0; x < count; x += ABREAST * LANES) {
            Sums sums;
#pragma GCC unroll 10
            for (int m = 0; m < WINDOW; ++m) {
#pragma GCC unroll 2
                for (int v = 0; v < ABREAST; ++v) sums[m][v] = load(rows[m] + x + v * LANES);
            }
            for (int64_t part = model.first_part[bank]; part < model.first_part[bank + 1]; ++part) {
                add_part(features.plane(model.planes[part]) + x, model.weights + 2 * WINDOW * part, sums);
            }
#pragma GCC unroll 10
            for (int m = 0; m < WINDOW; ++m) {
#pragma GCC unroll 2
                for (int v = 0; v < ABREAST; ++v) store(rows[m] + x + v * LANES, sums[m][v]);
            }
        }
    }
}

}  // namespace
