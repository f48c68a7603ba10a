// dlib's frontal face detector as one compiled function: the same boxes, several times faster.
//
// The algorithm is dlib's (Felzenszwalb's HOG features: "Object Detection with Discriminatively
// Trained Part Based Models", PAMI 2010, on an image pyramid, under linear filters); the code is our
// own. docs/decisions/0003-hog-kernel.md says what was tried and what each step gives.
//
//   pixels -- double `upsample` times --> level 0 -- times 5/6 --> level 1 -- ... until too small
//   level  -- gradients of 8 rows -- histograms of 8x8 cells -- 31 features a cell -- 5 filters
//          -- scores above the threshold --> boxes -- overlap suppressed, best first
//
// Everything of a level flows row by row: 8 rows of pixels, one row of cells, one row of features, one
// row of scores; only the level's pixels are kept whole, for the next level is made from them.
//
// Compiled once for each instruction set from these same lines (see build.py), with vectors as wide
// as that set's registers. -ffp-contract=off: the resampling must round as dlib's does, to
// the bit, so multiplications and additions are fused only where fused() says so.
//
// No state outlives a call, so that threads may call at once and a process may fork at any time.

#include <cmath>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

#include "boxes.h"
#include "filters.h"
#include "gradients.h"
#include "level.h"
#include "memory.h"
#include "resampling.h"

#define FACES_HOG_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

long resized_down(long length) { return 5 * length / 6; }

// How many levels dlib searches: it walks the image's rectangle down, rounding its corners.
int count_levels(const FacesHogModel& model, long height, long width) {
    const auto down = [](int64_t value) { return int64_t(std::lround((double(value) - 0.3) * (5 / 6.0))); };
    int64_t left = 0, top = 0, right = width - 1, bottom = height - 1;
    for (int levels = 1; ; ++levels) {
        left = down(left);
        top = down(top);
        right = down(right);
        bottom = down(bottom);
        if (right - left + 1 < model.smallest_width || bottom - top + 1 < model.smallest_height) return levels;
    }
}

std::vector<Found> detect(const FacesHogModel& model, const uint8_t* rgb, long height, long width, int upsample,
                          double adjust, Stopwatch& watch) {
    if (height <= 0 || width <= 0) return {};
    watch.start();
    Image image, next;
    image.resize(height, width);
    split_channels(rgb, image);
    for (int i = 0; i < upsample; ++i) {
        next.resize(2 * image.height + 1, 2 * image.width + 2);
        resample(image, next);
        std::swap(image, next);
    }
    watch.lap(RESAMPLING);
    std::vector<Found> found[BANKS];
    const int levels = count_levels(model, image.height, image.width);
    for (int level = 0; level < levels; ++level) {
        if (level > 0) {
            watch.start();
            next.resize(resized_down(image.height), resized_down(image.width));
            resample(image, next);
            std::swap(image, next);
            watch.lap(RESAMPLING);
        }
        Level(model, image, level, adjust, watch, found).search();
    }
    std::vector<Found> kept = suppress_overlaps(model, found);
    for (Found& one : kept) {
        one.left = undouble(one.left, 1.25, upsample);
        one.top = undouble(one.top, 0.75, upsample);
        one.right = undouble(one.right, 1.25, upsample);
        one.bottom = undouble(one.bottom, 0.75, upsample);
    }
    return kept;
}

}  // namespace

// Which of build.py's instruction sets this processor and its system have: 0, 1 or 2. Asked of the
// library that needs none of them.
FACES_HOG_EXPORT int32_t faces_hog_cpu_level() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 0;
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return wide ? 2 : 1;
#else
    return 0;
#endif
}

// For tests: the orientation (0..17) of one gradient, through the vectors that detection uses.
FACES_HOG_EXPORT int32_t faces_hog_orientation(int32_t gx, int32_t gy) {
    const Shorts by_vector = orientation_twice(Shorts{} + int16_t(gx), Shorts{} + int16_t(gy));
    const int alone = orientation_twice(int(gx), int(gy));
    return by_vector[0] == alone && by_vector[WIDE - 1] == alone ? alone / 2 : -1;
}

// For tests: resample an RGB image to another size as the pyramid does.
FACES_HOG_EXPORT void faces_hog_resample(const uint8_t* rgb, int64_t height, int64_t width, uint8_t* to,
                                         int64_t to_height, int64_t to_width) {
    Image image, resampled;
    image.resize(height, width);
    split_channels(rgb, image);
    resampled.resize(to_height, to_width);
    resample(image, resampled);
    for (long y = 0; y < to_height; ++y) {
        for (long x = 0; x < to_width; ++x) {
            for (int channel = 0; channel < 3; ++channel) *to++ = resampled.row(channel, y)[x];
        }
    }
}

// Detect faces in `height` x `width` RGB pixels. Writes at most `capacity` boxes, best first, and
// returns how many there are; -1 when memory is short. `seconds` (5 numbers, added to) may be null.
FACES_HOG_EXPORT int64_t faces_hog_detect(const FacesHogModel* model, const uint8_t* rgb, int64_t height,
                                          int64_t width, int32_t upsample, double adjust, FacesHogBox* boxes,
                                          int64_t capacity, double* seconds) {
    try {
        Stopwatch watch(seconds);
        const std::vector<Found> found = detect(*model, rgb, height, width, upsample, adjust, watch);
        for (size_t i = 0; i < found.size() && int64_t(i) < capacity; ++i) {
            boxes[i] = {found[i].left, found[i].top, found[i].right, found[i].bottom, found[i].score};
        }
        return int64_t(found.size());
    } catch (const std::bad_alloc&) {
        return -1;
    }
}