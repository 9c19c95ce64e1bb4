// What the drivers of Winograd's algorithm share: where tiles lie, and how their points are stored.
#pragma once

#include <algorithm>

#include "kernels.h"
#include "parallel.h"
#include "rot180/conv2d.h"

namespace rot180 {

// Points of a tile in two dimensions, and pixels of the input along one side of it.
inline constexpr int64_t tile_points = winograd_points * winograd_points;
inline constexpr int64_t input_size = winograd_points;

// The distance of two points of a tile, `channels` of each: whole vectors, and mostly an odd number
// of cache lines, because the points of a tile should not meet in a few sets of a cache.
template <class T>
int64_t point_stride(int64_t channels) {
    constexpr int64_t line = 64 / int64_t(sizeof(T));
    return divide_up(channels, line) * line + line;
}

// Tiles of all images in the order of memory, numbered from 0.
struct TileGrid {
    int64_t images, rows, columns;

    TileGrid(int64_t batch, int64_t out_rows, int64_t out_columns, int64_t tile_size)
        : images(batch),
          rows(divide_up(out_rows, tile_size)),
          columns(divide_up(out_columns, tile_size)) {}

    int64_t count() const { return images * rows * columns; }

    // body(index - first, n, i, j) for tiles [first, last): image n, place (i, j) in its grid.
    template <class Body>
    void for_each(int64_t first, int64_t last, const Body& body) const {
        for (int64_t index = first; index < last; ++index) {
            const int64_t row = index / columns;
            body(index - first, row / rows, row % rows, index % columns);
        }
    }
};

// Images whose tiles go to points: dense, as in NHWC.
template <class T>
struct Images {
    OutputGradient<T> values;
    int64_t height, width, channels;

    // For `count` channels from the first on.
    ToPoints<T> to_points(int64_t first, int64_t count) const {
        ToPoints<T> tile = {};
        tile.from = values.dy + first;
        tile.activation = values.activation;
        tile.saved = values.y ? values.y + first : nullptr;
        tile.row_stride = width * channels;
        tile.column_stride = channels;
        tile.channels = count;
        tile.point_stride = point_stride<T>(count);
        return tile;
    }

    // The tile of size x size pixels whose first is (top, left) of image n, perhaps outside.
    void place(int64_t n, int64_t top, int64_t left, int64_t size, ToPoints<T>& tile) const {
        tile.from_at = ((n * height + top) * width + left) * channels;
        tile.first_row = std::clamp<int64_t>(-top, 0, size);
        tile.last_row = std::clamp<int64_t>(height - top, 0, size);
        tile.first_column = std::clamp<int64_t>(-left, 0, size);
        tile.last_column = std::clamp<int64_t>(width - left, 0, size);
    }
};

}  // namespace rot180
