// One level of the pyramid, searched row by row.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "boxes.h"
#include "features.h"
#include "filters.h"
#include "gradients.h"
#include "memory.h"
#include "resampling.h"

namespace {

// Where cells, windows and blocks of a level lie. Blocks are those of features.h: they straddle the
// cells, so there is one more of them than of cells, each way.
struct Layout {
    long cell_rows, cell_columns;
    long rows, columns;    // of features, and of windows: cells at the border have none
    long last_x, last_y;   // the first pixels without a gradient
    long single;           // dlib takes columns by eights up to here, from 1, and singly from here
    long pixels;           // of a row of magnitudes: that of its blocks, in full eights
    long stride;           // of a row of cells, features or scores

    explicit Layout(const Image& image)
        : cell_rows(long(float(image.height) / CELL + 0.5)), cell_columns(long(float(image.width) / CELL + 0.5)),
          rows(std::max(cell_rows - 2, 0L)), columns(std::max(cell_columns - 2, 0L)),
          last_x(std::min(cell_columns * CELL, image.width) - 1),
          last_y(std::min(cell_rows * CELL, image.height) - 1),
          single(last_x > 8 ? 1 + (last_x - 1) / 8 * 8 : 1),
          pixels(round_up(cell_columns + 1, BLOCKS) * CELL),
          stride(round_up(cell_columns + WINDOW, ABREAST * LANES) + 2 * LANES) {}

    bool empty() const { return rows == 0 || columns == 0; }
};

class Level {
public:
    // What scores above a bank's threshold and `adjust` goes to `found[bank]`.
    Level(const FacesHogModel& model, const Image& image, int level, double adjust, Stopwatch& watch,
          std::vector<Found>* found)
        : model_(model), image_(image), level_(level), adjust_(adjust), watch_(watch), found_(found), at_(image) {}

    void search() {
        if (at_.empty()) return;
        watch_.start();
        for (long block_row = 0; block_row <= at_.cell_rows; ++block_row) {
            compute_gradients(block_row);
            watch_.lap(GRADIENTS);
            std::swap(above_, below_);
            fill_blocks(magnitudes_.get(), twices_.get(), at_.pixels, at_.cell_columns + 1, below_);
            if (block_row == 0) continue;
            gather_cells(above_, below_, at_.cell_columns, cells_[(block_row - 1) % 3]);
            watch_.lap(HISTOGRAMS);
            if (block_row >= 3) search_row(block_row - 3);
        }
        // Windows that end in the zero cells below have all they get.
        for (long top = at_.rows + BEFORE - WINDOW + 1; top < at_.rows; ++top) take_row(top);
        watch_.lap(FILTERS);
    }

private:
    // The eight rows of pixels of one row of blocks: half a cell higher than the cell of that number.
    void compute_gradients(long block_row) {
        for (int i = 0; i < CELL; ++i) {
            const long y = block_row * CELL - CELL / 2 + i, start = i * at_.pixels;
            if (y < 1 || y >= at_.last_y) {
                std::memset(&magnitudes_[start], 0, at_.pixels * sizeof(float));
            } else {
                gradient_row(image_, y, at_.single, at_.last_x, &magnitudes_[start + CELL / 2],
                             &twices_[start + CELL / 2]);
            }
        }
    }

    void search_row(long row) {
        compute_features(cells_[row % 3], cells_[(row + 1) % 3], cells_[(row + 2) % 3], at_.columns,
                         scratch_.get(), features_);
        watch_.lap(FEATURES);
        filter_row(model_, features_, row + BEFORE, at_.columns, scores_);
        take_row(row + BEFORE - (WINDOW - 1));
        watch_.lap(FILTERS);
    }

    // The windows of one row have all their features: note the good ones, and clear for a later row.
    void take_row(long top) {
        for (int bank = 0; bank < BANKS; ++bank) {
            float* const row = scores_.row(bank, top);
            const double threshold = model_.thresholds[bank] + adjust_;
            for (long x = 0; top >= 0 && x < at_.columns; ++x) {
                if (row[x] >= threshold) found_[bank].push_back(window_box(top, x, level_, double(row[x])));
            }
            std::memset(row, 0, at_.stride * sizeof(float));
        }
    }

    const FacesHogModel& model_;
    const Image& image_;
    const int level_;
    const double adjust_;
    Stopwatch& watch_;
    std::vector<Found>* const found_;

    const Layout at_;
    const Memory<float> magnitudes_ = zeros<float>(CELL * at_.pixels + WIDE);
    const Memory<uint8_t> twices_ = zeros<uint8_t>(CELL * at_.pixels + WIDE);
    const Memory<Block> sums_[2] = {Memory<Block>(at_.pixels / CELL), Memory<Block>(at_.pixels / CELL)};
    Block *above_ = sums_[0].get(), *below_ = sums_[1].get();
    const CellRow cells_[3] = {CellRow(at_.stride), CellRow(at_.stride), CellRow(at_.stride)};
    const Memory<float> scratch_ = zeros<float>(8 * at_.stride);
    const FeatureRow features_{at_.stride};
    const Scores scores_{at_.stride};
};

}  // namespace
