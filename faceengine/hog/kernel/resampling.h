// Images as planes, and their bilinear resampling with every bit as dlib's resize_image has it.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "memory.h"
#include "vectors.h"

namespace {

constexpr long PIXEL_PAD = 64;  // bytes past a row that vectors may read or write

// An RGB image as three planes of bytes, each row with PIXEL_PAD bytes behind it.
class Image {
public:
    long height = 0, width = 0;

    // Make room for pixels, in the memory of earlier ones if they took more: pages are costly to get.
    void resize(long new_height, long new_width) {
        height = new_height;
        width = new_width;
        stride_ = round_up(width + PIXEL_PAD, 64);
        const long needed = 3 * height * stride_ + PIXEL_PAD;
        if (needed <= capacity_) return;
        bytes_ = Memory<uint8_t>(needed);
        capacity_ = needed;
    }
    uint8_t* row(int channel, long y) const { return bytes_.get() + (channel * height + y) * stride_; }

private:
    long stride_ = 0, capacity_ = 0;
    Memory<uint8_t> bytes_{0};
};

void split_channels(const uint8_t* rgb, const Image& image) {
    for (long y = 0; y < image.height; ++y) {
        uint8_t *red = image.row(0, y), *green = image.row(1, y), *blue = image.row(2, y);
        for (long x = 0; x < image.width; ++x, rgb += 3) {
            red[x] = rgb[0];
            green[x] = rgb[1];
            blue[x] = rgb[2];
        }
    }
}

// Where each column of a resampled row comes from. dlib walks most columns in steps of four with x
// added up in single precision, and the last few in double; what x becomes decides single pixels.
struct Columns {
    static constexpr int GROUP = 8;
    long single;                      // columns in single precision, a multiple of four
    std::vector<long> left;           // of the pixel pair, all columns
    Memory<float> share;              // of the right pixel: single precision columns
    std::vector<double> exact_share;  // of the right pixel: the others
    std::vector<uint8_t> shuffles;    // a group: 8 offsets of left pixels, 8 of right, from its first left
    bool shuffled = true;             // whether every group's pixels lie within 16 bytes

    Columns(long from, long to) : left(to), share(round_up(to, 64)) {
        const double scale = (from - 1) / double(std::max(to - 1, 1L));
        share.zero(round_up(to, 64));
        const float step = float(4 * scale);
        float x[4];
        for (int lane = 0; lane < 4; ++lane) x[lane] = float(-4 * scale + lane * scale);
        for (single = 0;; single += 4) {
            for (float& lane : x) lane += step;
            if (long(x[3]) + 1 >= from || single + 4 > to) break;
            for (int lane = 0; lane < 4; ++lane) {
                left[single + lane] = long(x[lane]);
                share[single + lane] = x[lane] - float(long(x[lane]));
            }
        }
        double exact = -scale + single * scale;
        for (long column = single; column < to; ++column) {
            exact += scale;
            left[column] = long(std::floor(exact));
            exact_share.push_back(exact - left[column]);
        }
        plan_shuffles();
    }

    void plan_shuffles() {
        shuffles.assign(2 * round_up(single, GROUP), 0);
        for (long column = 0; column < single; ++column) {
            const long group = column / GROUP, lane = column % GROUP;
            const long offset = left[column] - left[group * GROUP];
            shuffled = shuffled && offset + 1 < 16;
            shuffles[2 * GROUP * group + lane] = uint8_t(offset);
            shuffles[2 * GROUP * group + GROUP + lane] = uint8_t(offset + 1);
        }
    }
};

// Fetch the left and right pixel of every single precision column of one row.
void fetch_pairs(const uint8_t* row, const Columns& columns, uint8_t* lefts, uint8_t* rights) {
#if defined(__SSSE3__) || defined(__aarch64__)
    if (columns.shuffled) {
        const uint8_t* plan = columns.shuffles.data();
        for (long column = 0; column < columns.single; column += Columns::GROUP, plan += 16) {
            const uint8_t* from = row + columns.left[column];
#if defined(__SSSE3__)
            const __m128i pairs = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i*)from),
                                                   _mm_loadu_si128((const __m128i*)plan));
            _mm_storel_epi64((__m128i*)(lefts + column), pairs);
            _mm_storeh_pd((double*)(rights + column), _mm_castsi128_pd(pairs));
#else
            const uint8x16_t pairs = vqtbl1q_u8(vld1q_u8(from), vld1q_u8(plan));
            vst1_u8(lefts + column, vget_low_u8(pairs));
            vst1_u8(rights + column, vget_high_u8(pairs));
#endif
        }
        return;
    }
#endif
    for (long column = 0; column < columns.single; ++column) {
        lefts[column] = row[columns.left[column]];
        rights[column] = row[columns.left[column] + 1];
    }
}

// Bilinear resampling that truncates, as dlib's resize_image does for RGB, equal in every bit.
void resample(const Image& from, const Image& to) {
    const Columns columns(from.width, to.width);
    const double y_scale = (from.height - 1) / double(std::max(to.height - 1, 1L));
    const long length = round_up(columns.single, 64) + 64;
    // Of the row above and the row below, for each channel the left and right pixels.
    Memory<uint8_t> fetched(2 * 6 * length);
    long rows[2] = {-1, -1};
    double y = -y_scale;
    for (long row = 0; row < to.height; ++row) {
        y += y_scale;
        const long top = long(std::floor(y)), bottom = std::min(top + 1, from.height - 1);
        for (long wanted : {top, bottom}) {
            if (rows[wanted % 2] == wanted) continue;
            rows[wanted % 2] = wanted;
            for (int channel = 0; channel < 3; ++channel) {
                uint8_t* lefts = &fetched[((wanted % 2) * 6 + 2 * channel) * length];
                fetch_pairs(from.row(channel, wanted), columns, lefts, lefts + length);
            }
        }
        const double below = y - top;
        const float share_below = float(below), share_above = float(1 - below);
        const uint8_t* const above = &fetched[top % 2 * 6 * length];
        const uint8_t* const under = &fetched[bottom % 2 * 6 * length];
        // A vector may write past the columns in single precision: the others come after.
        for (long x = 0; x < columns.single; x += LANES) {
            const Floats right = load(columns.share.get() + x), left = splat(1) - right;
            const Floats above_left = splat(share_above) * left, above_right = splat(share_above) * right;
            const Floats under_left = splat(share_below) * left, under_right = splat(share_below) * right;
            for (int channel = 0; channel < 3; ++channel) {
                const uint8_t *a = above + 2 * channel * length + x, *b = under + 2 * channel * length + x;
                const Floats sum = above_left * to_floats(load_bytes(a)) +
                                   above_right * to_floats(load_bytes(a + length)) +
                                   under_left * to_floats(load_bytes(b)) +
                                   under_right * to_floats(load_bytes(b + length));
                store_bytes(to.row(channel, row) + x, __builtin_convertvector(sum, Ints));
            }
        }
        for (int channel = 0; channel < 3; ++channel) {
            uint8_t* const out = to.row(channel, row);
            const uint8_t *a = from.row(channel, top), *b = from.row(channel, bottom);
            for (long x = columns.single; x < to.width; ++x) {
                const long left = columns.left[x], right = std::min(left + 1, from.width - 1);
                const double share = columns.exact_share[x - columns.single];
                out[x] = uint8_t((1 - below) * ((1 - share) * a[left] + share * a[right]) +
                                 below * ((1 - share) * b[left] + share * b[right]));
            }
        }
    }
}

}  // namespace
