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
    int64_t image(int64_t index) const { return index / (rows * columns); }
    int64_t row(int64_t index) const { return index / columns % rows; }
    int64_t column(int64_t index) const { return index % columns; }
};

// Dense NHWC images whose tiles go to points. Tiles are `step` pixels apart and begin at
// (-top, -left).
template <class T>
struct TiledImages {
    OutputGradient<T> values;
    int64_t height, width, channels;
    const TileGrid& grid;
    int64_t step, top, left;

    // Where the tile's first pixel lies in memory, or would.
    int64_t origin(int64_t index) const {
        const int64_t h = grid.row(index) * step - top, w = grid.column(index) * step - left;
        return ((grid.image(index) * height + h) * width + w) * channels;
    }

    // Channels [first_channel, first_channel + count) of tiles [first, last), of size x size pixels
    // each, as (tile, point, channel). transform is winograd_input or winograd_filter. sum, unless
    // it is null, grows by every pixel.
    template <class Transform>
    void to_points(int64_t first_channel, int64_t count, int64_t first, int64_t last, int64_t size,
                   const Transform& transform, T* to, T* sum = nullptr) const {
        ToPoints<T> tile = {};
        tile.from = values.dy + first_channel;
        tile.from_size = grid.images * height * width * channels - first_channel;
        tile.activation = values.activation;
        tile.saved = values.y ? values.y + first_channel : nullptr;
        tile.row_stride = width * channels;
        tile.column_stride = channels;
        tile.channels = count;
        tile.point_stride = point_stride<T>(count);
        tile.sum = sum;
        for (int64_t index = first; index < last; ++index) {
            const int64_t h = grid.row(index) * step - top, w = grid.column(index) * step - left;
            tile.first_row = std::clamp<int64_t>(-h, 0, size);
            tile.last_row = std::clamp<int64_t>(height - h, 0, size);
            tile.first_column = std::clamp<int64_t>(-w, 0, size);
            tile.last_column = std::clamp<int64_t>(width - w, 0, size);
            tile.from_at = origin(index);
            tile.next_at = index + 1 < last ? origin(index + 1) : tile.from_at;
            tile.to = to + (index - first) * tile_points * tile.point_stride;
            transform(tile);
        }
    }
};

}  // namespace rot180
