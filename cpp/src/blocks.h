// A grid of (images, rows, columns), such as the pixels of an output, cut into blocks.
#pragma once

#include <algorithm>
#include <cstdint>

#include "parallel.h"

namespace rot180 {

// Where a block begins, and how large it is.
struct Block {
    int64_t image, i, j, images, rows, columns;
    int64_t pixels() const { return images * rows * columns; }
};

struct Blocks {
    int64_t grid_images, grid_rows, grid_columns;
    int64_t images, rows, columns;  // of one block

    int64_t image_blocks() const { return divide_up(grid_images, images); }
    int64_t row_blocks() const { return divide_up(grid_rows, rows); }
    int64_t column_blocks() const { return divide_up(grid_columns, columns); }
    int64_t count() const { return image_blocks() * row_blocks() * column_blocks(); }
    // Of the largest block.
    int64_t pixels() const { return images * rows * columns; }

    Block block(int64_t index) const {
        Block block;
        block.j = index % column_blocks() * columns;
        index /= column_blocks();
        block.i = index % row_blocks() * rows;
        block.image = index / row_blocks() * images;
        // The last blocks of an axis may be short, but none is empty.
        block.images = std::min(images, grid_images - block.image);
        block.rows = std::min(rows, grid_rows - block.i);
        block.columns = std::min(columns, grid_columns - block.j);
        return block;
    }
};

// The size of even pieces of `total`: as few as those of at most `largest` would be.
inline int64_t even_size(int64_t total, int64_t largest) {
    return divide_up(total, divide_up(total, largest));
}

}  // namespace rot180
