// Gradients of a row of pixels: their magnitude, and which of 18 directions is nearest.

#pragma once

#include <cstdint>
#include <cstring>

#include "resampling.h"
#include "vectors.h"

namespace {

constexpr int SIGNED = 18;  // orientations with sign; half as many without

// Single pixels and vectors of them find their orientation by the same lines: a truth is 0 or -1.
inline int holds(bool condition) { return -int(condition); }
inline Shorts holds(Shorts condition) { return condition; }
inline int greater(int a, int times_a, int b, int times_b) { return holds(a * times_a > b * times_b); }
inline Shorts greater(Shorts a, int times_a, Shorts b, int times_b) {
    return (Shorts)((Words)a * uint16_t(times_a) > (Words)b * uint16_t(times_b));
}

// Twice the orientation (0..17, in steps of 20 degrees) for which dlib finds the greatest of its 18
// scalar products, here by comparison with the four borders between the sectors of a quarter turn.
// Each border is the greatest ratio of two bytes that lies below it: so integers decide every one of
// the 511 x 511 cases as dlib's single precision does (tests/test_stages.py).
template <typename T>
inline T orientation_twice(T gx, T gy) {
    const T left = holds(gx < 0), up = holds(gy < 0), level = holds(gy == 0);
    const T ax = (gx ^ left) - left, ay = (gy ^ up) - up;
    const T sector = -(greater(ay, 244, ax, 43) + greater(ay, 239, ax, 138) + greater(ay, 193, ax, 230) +
                       greater(ay, 91, ax, 250));
    const T turned = up | (level & left);                 // the opposite of a direction in 0..180 degrees
    const T mirrored = holds(gx != 0) & (left ^ turned);  // beyond 90 degrees before turning
    const T half = ((sector ^ mirrored) - mirrored) + (9 & mirrored);
    const T whole = half + (9 & turned);
    return 2 * (whole & ~holds(whole == SIGNED));
}

// A row of each channel with its neighbours above and below.
struct Rows {
    const uint8_t *above[3], *here[3], *below[3];
    Rows(const Image& image, long y) {
        for (int channel = 0; channel < 3; ++channel) {
            above[channel] = image.row(channel, y - 1);
            here[channel] = image.row(channel, y);
            below[channel] = image.row(channel, y + 1);
        }
    }
};

// Magnitude and twice the orientation of one pixel: of the first channel with the greatest magnitude.
inline void gradient(const Rows& rows, long x, float* magnitude, uint8_t* twice) {
    int gx = 0, gy = 0, greatest = 0;
    for (int channel = 0; channel < 3; ++channel) {
        const int dx = rows.here[channel][x + 1] - rows.here[channel][x - 1];
        const int dy = rows.below[channel][x] - rows.above[channel][x];
        const int length = dx * dx + dy * dy;
        if (length > greatest) {
            gx = dx;
            gy = dy;
            greatest = length;
        }
    }
    magnitude[x] = std::sqrt(float(greatest));
    twice[x] = uint8_t(orientation_twice(gx, gy));
}

// The same of WIDE pixels; but of channels of equal magnitude dlib's vectors take the last. A squared
// length has 17 bits: its upper 16 and its lowest are kept and compared apart.
inline void gradients(const Rows& rows, long x, float* magnitude, uint8_t* twice) {
    Shorts gx{}, gy{};
    Words halves{}, odd{};
    for (int channel = 0; channel < 3; ++channel) {
        const Shorts dx = load_wide(rows.here[channel] + x + 1) - load_wide(rows.here[channel] + x - 1);
        const Shorts dy = load_wide(rows.below[channel] + x) - load_wide(rows.above[channel] + x);
        const Words a = (Words)dx * (Words)dx, b = (Words)dy * (Words)dy;
        const Words half = (a & b) + ((a ^ b) >> 1), bit = (a ^ b) & 1;
        const auto take = half + (bit | (odd ^ 1)) > halves;
        gx = take ? dx : gx;
        gy = take ? dy : gy;
        halves = take ? half : halves;
        odd = take ? bit : odd;
    }
    store(magnitude + x, root(to_floats(2 * lower(halves) + lower(odd))));
    store(magnitude + x + LANES, root(to_floats(2 * upper(halves) + upper(odd))));
    store_wide(twice + x, orientation_twice(gx, gy));
}

// The gradients of one row, from column 1 up to `last`; those before `single` by vectors, which may
// write past it: the columns from there are written after, and none is left behind the last.
void gradient_row(const Image& image, long y, long single, long last, float* magnitude, uint8_t* twice) {
    const Rows rows(image, y);
    for (long x = 1; x < single; x += WIDE) gradients(rows, x, magnitude, twice);
    for (long x = single; x < last; ++x) gradient(rows, x, magnitude, twice);
    std::memset(magnitude + last, 0, WIDE * sizeof(float));
}

}  // namespace
