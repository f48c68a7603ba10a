// dlib's frontal face detector as one compiled function: the same boxes, several times faster.
//
// The algorithm is dlib's (Felzenszwalb's HOG features: "Object Detection with Discriminatively
// Trained Part Based Models", PAMI 2010, on an image pyramid, under linear filters); the code is our
// own. docs/decisions/0003-hog-kernel.md tells what was tried and what each step gives.
//
//   pixels ── double `upsample` times ──► level 0 ── times 5/6 ──► level 1 ── … until too small
//   level  ── gradients of 8 rows ── histograms of 8×8 cells ── 31 features a cell ── 5 filters
//          ── scores above the threshold ──► boxes ── overlap suppressed, best first
//
// Everything of a level flows row by row: 8 rows of pixels, one row of cells, one row of features, one
// row of scores; only the level's pixels are kept whole, for the next level is made from them.
//
// Compiled once for each instruction set from this one source (see build.py). The vector type below is
// as wide as that set's registers. -ffp-contract=off: the resampling must round as dlib's does, to
// the bit, so multiplications and additions are fused only where fused() says so.
//
// No state outlives a call, so that threads may call at once and a process may fork at any time.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX2__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif
typedef float Floats __attribute__((vector_size(LANES * 4)));
typedef float Floats4 __attribute__((vector_size(16)));

constexpr int CELL = 8;           // pixels a side
constexpr int WINDOW = 10;        // cells a side
constexpr int BEFORE = 4;         // zero cells before the features of a row or column (dlib's padding)
constexpr int SIGNED = 18;        // orientations with sign; as many again by half without
constexpr int PLANES = 31;        // features of a cell
constexpr int BANKS = 5;          // filters: frontal, turned left and right, tilted left and right
constexpr int BLOCKS = 8;         // histograms filled at a time, see fill_histograms()
constexpr long PIXEL_PAD = 64;    // bytes readable past a row

inline Floats load(const float* from) {
    Floats value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

inline void store(float* to, Floats value) { std::memcpy(to, &value, sizeof value); }

inline Floats splat(float value) { return value - Floats{}; }

inline Floats least(Floats a, Floats b) {
#if defined(__AVX512F__)
    return _mm512_min_ps(a, b);
#elif defined(__AVX2__)
    return _mm256_min_ps(a, b);
#else
    return a < b ? a : b;
#endif
}

// a * b + c, rounded once where the processor can: only for sums whose last bits may differ from dlib's.
inline Floats fused(Floats a, Floats b, Floats c) {
#if defined(__AVX512F__)
    return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__) && defined(__FMA__)
    return _mm256_fmadd_ps(a, b, c);
#elif defined(__aarch64__)
    return vfmaq_f32(c, a, b);
#else
    return a * b + c;
#endif
}

inline Floats root(Floats value) {
#if defined(__AVX512F__)
    return _mm512_sqrt_ps(value);
#elif defined(__AVX2__)
    return _mm256_sqrt_ps(value);
#elif defined(__x86_64__)
    return _mm_sqrt_ps(value);
#elif defined(__aarch64__)
    return vsqrtq_f32(value);
#else
    for (int lane = 0; lane < LANES; ++lane) value[lane] = std::sqrt(value[lane]);
    return value;
#endif
}

typedef uint8_t Bytes __attribute__((vector_size(LANES)));
typedef int32_t Ints __attribute__((vector_size(LANES * 4)));

// Written out, for gcc 12 turns __builtin_convertvector between bytes and integers into single steps.
inline Ints load_bytes(const uint8_t* from) {
#if defined(__AVX512F__)
    return (Ints)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)from));
#elif defined(__AVX2__)
    return (Ints)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)from));
#elif defined(__x86_64__)
    int32_t bytes;
    std::memcpy(&bytes, from, sizeof bytes);
    const __m128i zero = _mm_setzero_si128();
    return (Ints)_mm_unpacklo_epi16(_mm_unpacklo_epi8(_mm_cvtsi32_si128(bytes), zero), zero);
#else
    Bytes bytes;
    std::memcpy(&bytes, from, sizeof bytes);
    return __builtin_convertvector(bytes, Ints);
#endif
}

inline void store_bytes(uint8_t* to, Ints value) {
#if defined(__AVX512F__)
    _mm_storeu_si128((__m128i*)to, _mm512_cvtepi32_epi8((__m512i)value));
#elif defined(__AVX2__)
    const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128((__m256i)value),
                                           _mm256_extracti128_si256((__m256i)value, 1));
    _mm_storel_epi64((__m128i*)to, _mm_packus_epi16(words, words));
#elif defined(__x86_64__)
    const __m128i words = _mm_packs_epi32((__m128i)value, (__m128i)value);
    const int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
    std::memcpy(to, &bytes, sizeof bytes);
#else
    const Bytes bytes = __builtin_convertvector(value, Bytes);
    std::memcpy(to, &bytes, sizeof bytes);
#endif
}

inline Floats to_floats(Ints value) { return __builtin_convertvector(value, Floats); }

constexpr long round_up(long value, long unit) { return (value + unit - 1) / unit * unit; }

// Uninitialised, aligned memory that frees itself. Large ones ask for huge pages: touching tens of
// megabytes 4 KiB at a time costs more than doubling an image.
template <typename T>
class Memory {
public:
    explicit Memory(long count) {
        const size_t bytes = round_up(std::max(count, 1L) * long(sizeof(T)), 64);
        const size_t alignment = bytes >= (4u << 20) ? (2u << 20) : 64;
        void* memory = nullptr;
        if (posix_memalign(&memory, alignment, bytes) != 0) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
        if (alignment > 64) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
        data_.reset(static_cast<T*>(memory));
    }
    T* get() const { return data_.get(); }
    T& operator[](long index) const { return data_.get()[index]; }
    void zero(long count) const { std::memset(data_.get(), 0, count * sizeof(T)); }

private:
    struct Free { void operator()(T* memory) const { std::free(memory); } };
    std::unique_ptr<T, Free> data_;
};

// Time spent by stage, in seconds, for benchmarks/hog.py; nothing is measured without a place to put it.
enum Stage { RESAMPLING, GRADIENTS, HISTOGRAMS, FEATURES, FILTERS, STAGES };

class Stopwatch {
public:
    explicit Stopwatch(double* seconds) : seconds_(seconds) {}
    void start() { if (seconds_) last_ = Clock::now(); }
    void lap(Stage stage) {
        if (!seconds_) return;
        const auto now = Clock::now();
        seconds_[stage] += std::chrono::duration<double>(now - last_).count();
        last_ = now;
    }

private:
    using Clock = std::chrono::steady_clock;
    double* seconds_;
    Clock::time_point last_;
};

// ------------------------------------------------------------------------------------------ pixels

// An RGB image as three planes of bytes, each row readable PIXEL_PAD bytes past its end.
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
    long count, single;               // all columns; those in single precision, a multiple of four
    std::vector<long> left;           // of the pixel pair, all columns
    Memory<float> share;              // of the right pixel: single precision columns
    std::vector<double> exact_share;  // of the right pixel: the others
    std::vector<uint8_t> shuffles;    // a group: 8 offsets of left pixels, 8 of right, from its first left
    bool shuffled = true;             // whether every group's pixels lie within 16 bytes

    Columns(long from, long to) : count(to), left(to), share(round_up(to, 64)) {
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
                const Floats sum = above_left * to_floats(load_bytes(a)) + above_right * to_floats(load_bytes(a + length)) +
                                   under_left * to_floats(load_bytes(b)) + under_right * to_floats(load_bytes(b + length));
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

// --------------------------------------------------------------------------------------- gradients

// Gradients are computed in 16 bits, two vectors' worth of pixels at a time. Products of a gradient
// (at most 255) and a byte need all 16 of them, hence the unsigned type.
constexpr int WIDE = 2 * LANES;
typedef int16_t Shorts __attribute__((vector_size(WIDE * 2)));
typedef uint16_t Words __attribute__((vector_size(WIDE * 2)));
typedef uint8_t WideBytes __attribute__((vector_size(WIDE)));

inline Shorts load_wide(const uint8_t* from) {
#if defined(__AVX512F__)
    return (Shorts)_mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i*)from));
#elif defined(__AVX2__)
    return (Shorts)_mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i*)from));
#elif defined(__x86_64__)
    return (Shorts)_mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i*)from), _mm_setzero_si128());
#else
    WideBytes bytes;
    std::memcpy(&bytes, from, sizeof bytes);
    return __builtin_convertvector(bytes, Shorts);
#endif
}

inline void store_wide(uint8_t* to, Shorts value) {
#if defined(__AVX512F__)
    _mm256_storeu_si256((__m256i*)to, _mm512_cvtepi16_epi8((__m512i)value));
#elif defined(__AVX2__)
    const __m128i low = _mm256_castsi256_si128((__m256i)value), high = _mm256_extracti128_si256((__m256i)value, 1);
    _mm_storeu_si128((__m128i*)to, _mm_packus_epi16(low, high));
#elif defined(__x86_64__)
    _mm_storel_epi64((__m128i*)to, _mm_packus_epi16((__m128i)value, (__m128i)value));
#else
    const WideBytes bytes = __builtin_convertvector(value, WideBytes);
    std::memcpy(to, &bytes, sizeof bytes);
#endif
}

// The two halves of a wide vector, each number to 32 bits.
inline Ints lower(Words value) {
#if defined(__AVX512F__)
    return (Ints)_mm512_cvtepu16_epi32(_mm512_castsi512_si256((__m512i)value));
#elif defined(__AVX2__)
    return (Ints)_mm256_cvtepu16_epi32(_mm256_castsi256_si128((__m256i)value));
#elif defined(__x86_64__)
    return (Ints)_mm_unpacklo_epi16((__m128i)value, _mm_setzero_si128());
#else
    Ints result;
    for (int lane = 0; lane < LANES; ++lane) result[lane] = value[lane];
    return result;
#endif
}

inline Ints upper(Words value) {
#if defined(__AVX512F__)
    return (Ints)_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64((__m512i)value, 1));
#elif defined(__AVX2__)
    return (Ints)_mm256_cvtepu16_epi32(_mm256_extracti128_si256((__m256i)value, 1));
#elif defined(__x86_64__)
    return (Ints)_mm_unpackhi_epi16((__m128i)value, _mm_setzero_si128());
#else
    Ints result;
    for (int lane = 0; lane < LANES; ++lane) result[lane] = value[LANES + lane];
    return result;
#endif
}

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

// -------------------------------------------------------------------------------------- histograms

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

typedef Floats4 Block[SIGNED];

// Sum the magnitudes of 8 rows of pixels by block and orientation. One pixel is one addition of four
// numbers; neighbouring pixels often share their orientation, so eight blocks go abreast lest each
// addition wait for the one before.
void fill_blocks(const Shares& shares, const float* magnitude, const uint8_t* twice, long stride,
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
    explicit CellRow(long stride) : stride(stride), values(SIGNED * stride), energy(stride) {
        values.zero(SIGNED * stride);
        energy.zero(stride);
    }
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

// ---------------------------------------------------------------------------------------- features

// One row of features: 31 planes, each with the zero cells that windows beyond the image see.
struct FeatureRow {
    long stride;
    Memory<float> values;
    explicit FeatureRow(long stride) : stride(stride), values(PLANES * stride) { values.zero(PLANES * stride); }
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

// ----------------------------------------------------------------------------------------- filters

// The model as build.py's caller lays it out: `parts` outer products, those of a bank together and in
// the order of their planes; part p of plane planes[p] has weights[20 p ..]: 10 of the row, 10 of the
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
    explicit Scores(long stride) : stride(stride), values(BANKS * WINDOW * stride) {
        values.zero(BANKS * WINDOW * stride);
    }
    float* row(int bank, long top) const { return values.get() + (bank * WINDOW + (top + WINDOW) % WINDOW) * stride; }
};

// How many vectors of windows pass the filters together: each weight fetched then serves all of them,
// as far as their ten sums each fit into the registers.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int ABREAST = 2;
#else
constexpr int ABREAST = 1;
#endif

// Add what one row of features, `y` from the top of the padded level, gives to the windows that it
// is in. Their sums stay in registers while all parts of a bank pass by.
void filter_row(const FacesHogModel& model, const FeatureRow& features, long y, long count, const Scores& scores) {
    for (int bank = 0; bank < BANKS; ++bank) {
        float* rows[WINDOW];
        for (int m = 0; m < WINDOW; ++m) rows[m] = scores.row(bank, y - m);
        for (long x = 0; x < count; x += ABREAST * LANES) {
            Floats sums[WINDOW][ABREAST];
#pragma GCC unroll 10
            for (int m = 0; m < WINDOW; ++m) {
#pragma GCC unroll 2
                for (int v = 0; v < ABREAST; ++v) sums[m][v] = load(rows[m] + x + v * LANES);
            }
            for (int64_t part = model.first_part[bank]; part < model.first_part[bank + 1]; ++part) {
                const float* const from = features.plane(model.planes[part]) + x;
                const float* const weights = model.weights + 2 * WINDOW * part;
                Floats even[ABREAST]{}, odd[ABREAST]{};
#pragma GCC unroll 5
                for (int n = 0; n < WINDOW; n += 2) {
                    const Floats weight = splat(weights[n]), next = splat(weights[n + 1]);
#pragma GCC unroll 2
                    for (int v = 0; v < ABREAST; ++v) {
                        even[v] = fused(load(from + n + v * LANES), weight, even[v]);
                        odd[v] = fused(load(from + n + 1 + v * LANES), next, odd[v]);
                    }
                }
#pragma GCC unroll 2
                for (int v = 0; v < ABREAST; ++v) even[v] += odd[v];
#pragma GCC unroll 10
                for (int m = 0; m < WINDOW; ++m) {
                    const Floats weight = splat(weights[WINDOW + m]);
#pragma GCC unroll 2
                    for (int v = 0; v < ABREAST; ++v) sums[m][v] = fused(even[v], weight, sums[m][v]);
                }
            }
#pragma GCC unroll 10
            for (int m = 0; m < WINDOW; ++m) {
#pragma GCC unroll 2
                for (int v = 0; v < ABREAST; ++v) store(rows[m] + x + v * LANES, sums[m][v]);
            }
        }
    }
}

// ------------------------------------------------------------------------------------------- boxes

extern "C" struct FacesHogBox {
    int64_t left, top, right, bottom;  // inclusive
    double score;                      // above the bank's threshold
};

struct Found {
    double score;
    int64_t left, top, right, bottom;
    bool operator<(const Found& other) const { return score < other.score; }
};

int64_t cell_to_pixel(long cell) {
    const long pixel = (cell + 1 - BEFORE) * CELL + 1;
    return pixel + (pixel >= 0 ? CELL / 2 : -CELL / 2);
}

int64_t to_level_0(int64_t value, int level) {
    double v = double(value);
    for (int i = 0; i < level; ++i) v = v * (6 / 5.0) + 0.3;
    return std::lround(v);
}

Found window_box(long row, long column, int level, double score) {
    return {score, to_level_0(cell_to_pixel(column), level), to_level_0(cell_to_pixel(row), level),
            to_level_0(cell_to_pixel(column + WINDOW - 1), level),
            to_level_0(cell_to_pixel(row + WINDOW - 1), level)};
}

double area(int64_t left, int64_t top, int64_t right, int64_t bottom) {
    return right < left || bottom < top ? 0.0 : double(right - left + 1) * double(bottom - top + 1);
}

bool overlap(const FacesHogModel& model, const Found& a, const Found& b) {
    const double inner = area(std::max(a.left, b.left), std::max(a.top, b.top), std::min(a.right, b.right),
                              std::min(a.bottom, b.bottom));
    if (inner == 0) return false;
    const double outer = area(std::min(a.left, b.left), std::min(a.top, b.top), std::max(a.right, b.right),
                              std::max(a.bottom, b.bottom));
    return inner / outer > model.overlap_iou ||
           inner / area(a.left, a.top, a.right, a.bottom) > model.overlap_covered ||
           inner / area(b.left, b.top, b.right, b.bottom) > model.overlap_covered;
}

// ------------------------------------------------------------------------------------------ levels

// Search one level of the pyramid; what scores above a bank's threshold goes to `found[bank]`.
void search_level(const FacesHogModel& model, const Image& image, int level, double adjust, Stopwatch& watch,
                  std::vector<Found>* found) {
    const long cell_rows = long(float(image.height) / float(CELL) + 0.5);
    const long cell_columns = long(float(image.width) / float(CELL) + 0.5);
    const long rows = cell_rows - 2, columns = cell_columns - 2;
    if (rows <= 0 || columns <= 0) return;
    const long last_y = std::min(cell_rows * CELL, image.height) - 1;
    const long last_x = std::min(cell_columns * CELL, image.width) - 1;
    const long single = last_x > 8 ? 1 + (last_x - 1) / 8 * 8 : 1;  // dlib goes by eights up to here

    static const Shares shares;
    const long blocks = round_up(cell_columns + 1, BLOCKS), pixels = blocks * CELL;
    const long stride = round_up(cell_columns + WINDOW, 2 * LANES) + 2 * LANES;
    Memory<float> magnitudes(CELL * pixels + WIDE);
    Memory<uint8_t> twices(CELL * pixels + WIDE);
    magnitudes.zero(CELL * pixels);
    twices.zero(CELL * pixels);
    Memory<Block> sums_a(blocks), sums_b(blocks);
    Block *above = sums_a.get(), *below = sums_b.get();
    const CellRow cells[3] = {CellRow(stride), CellRow(stride), CellRow(stride)};
    Memory<float> scratch(8 * stride);
    scratch.zero(8 * stride);
    const FeatureRow features(stride);
    const Scores scores(stride);

    const auto finish = [&](long top) {
        for (int bank = 0; bank < BANKS; ++bank) {
            float* const row = scores.row(bank, top);
            const double threshold = model.thresholds[bank] + adjust;
            for (long x = 0; top >= 0 && x < columns; ++x) {
                if (row[x] >= threshold) {
                    found[bank].push_back(window_box(top, x, level, double(row[x])));
                }
            }
            std::memset(row, 0, stride * sizeof(float));
        }
    };

    watch.start();
    for (long block_row = 0; block_row <= cell_rows; ++block_row) {
        for (int i = 0; i < CELL; ++i) {
            const long y = block_row * CELL - CELL / 2 + i;
            float* const magnitude = &magnitudes[i * pixels];
            if (y < 1 || y >= last_y) {
                std::memset(magnitude, 0, pixels * sizeof(float));
                continue;
            }
            float* const m = magnitude + CELL / 2;
            uint8_t* const t = &twices[i * pixels + CELL / 2];
            gradient_row(image, y, single, last_x, m, t);
        }
        watch.lap(GRADIENTS);
        std::swap(above, below);
        fill_blocks(shares, magnitudes.get(), twices.get(), pixels, cell_columns + 1, below);
        if (block_row == 0) continue;
        gather_cells(above, below, cell_columns, cells[(block_row - 1) % 3]);
        watch.lap(HISTOGRAMS);
        if (block_row < 3) continue;
        const long row = block_row - 3;  // of features
        compute_features(cells[row % 3], cells[(row + 1) % 3], cells[(row + 2) % 3], columns, scratch.get(),
                         features);
        watch.lap(FEATURES);
        filter_row(model, features, row + BEFORE, columns, scores);
        finish(row + BEFORE - (WINDOW - 1));
        watch.lap(FILTERS);
    }
    for (long top = rows - 1 + BEFORE - WINDOW + 2; top < rows; ++top) finish(top);
    watch.lap(FILTERS);
}

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

std::vector<Found> suppress_overlaps(const FacesHogModel& model, std::vector<Found>* found) {
    std::vector<Found> all, kept;
    for (int bank = 0; bank < BANKS; ++bank) {
        std::sort(found[bank].rbegin(), found[bank].rend());
        for (Found one : found[bank]) {
            one.score -= model.thresholds[bank];
            all.push_back(one);
        }
    }
    std::sort(all.rbegin(), all.rend());
    for (const Found& one : all) {
        const auto overlaps = [&](const Found& better) { return overlap(model, better, one); };
        if (std::none_of(kept.begin(), kept.end(), overlaps)) kept.push_back(one);
    }
    return kept;
}

// The way back from doubled coordinates, rounded once.
int64_t undouble(int64_t value, double offset, int times) {
    double v = double(value);
    for (int i = 0; i < times; ++i) v = v / 2.0 - offset;
    return std::lround(v);
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
        search_level(model, image, level, adjust, watch, found);
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
extern "C" __attribute__((visibility("default"))) int32_t faces_hog_cpu_level() {
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
extern "C" __attribute__((visibility("default"))) int32_t faces_hog_orientation(int32_t gx, int32_t gy) {
    const Shorts by_vector = orientation_twice(Shorts{} + int16_t(gx), Shorts{} + int16_t(gy));
    const int alone = orientation_twice(int(gx), int(gy));
    return by_vector[0] == alone && by_vector[WIDE - 1] == alone ? alone / 2 : -1;
}

// For tests: resample an RGB image to another size as the pyramid does.
extern "C" __attribute__((visibility("default"))) void faces_hog_resample(const uint8_t* rgb, int64_t height,
                                                                          int64_t width, uint8_t* to,
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
extern "C" __attribute__((visibility("default"))) int64_t faces_hog_detect(const FacesHogModel* model, const uint8_t* rgb, int64_t height, int64_t width,
                                    int32_t upsample, double adjust, FacesHogBox* boxes, int64_t capacity,
                                    double* seconds) {
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
