// Memory that frees itself, and a watch for the benchmark.

#pragma once

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace {

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

template <typename T>
Memory<T> zeros(long count) {
    Memory<T> memory(count);
    memory.zero(count);
    return memory;
}

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

}  // namespace
