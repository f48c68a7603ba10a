// From windows to boxes in the image, and which of those that overlap stay.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "features.h"
#include "filters.h"

namespace {

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

}  // namespace
