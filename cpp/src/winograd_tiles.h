// What the drivers of Winograd's algorithm share: where tiles lie, and how their points are stored.
#pragma once

#include <algorithm>

#include "kernels.h"
#include "parallel.h"
#include "rot180/conv2d.h"

namespace rot180 {

// Arrays of points are so laid out that the points of one channel do not meet in a few sets of a
// cache, where they would push one another out: their distances are no powers of two.

// Where the points of `tiles` tiles lie, as (point, tile, channel): what the product of one point
// reads and writes is one stream. A tile's channels, of `stride * stride` phases, have whole
// vectors, also the last one of a phase, which may begin anywhere.
template <class T>
struct PointsLayout {
    int64_t tile_stride, point_stride;

    PointsLayout(int64_t tiles, int64_t channels, int64_t stride = 1) {
        const int64_t most = channels + (stride > 1 ? line_size<T> - 1 : 0);
        tile_stride = divide_up(most, line_size<T>) * line_size<T>;
        point_stride = tiles * tile_stride;
        if (point_stride / line_size<T> % 2 == 0) point_stride += line_size<T>;
    }
};

// The distance of two points of filters, `channels` by `lanes` of each.
template <class T>
int64_t filter_stride(int64_t channels, int64_t lanes) {
    return channels * lanes + line_size<T>;
}

// Which tile of a grid.
struct TileAt {
    int64_t image, row, column;
};

// Tiles of all images in the order of memory, numbered from 0.
struct TileGrid {
    int64_t images, rows, columns;

    TileGrid(int64_t batch, int64_t out_rows, int64_t out_columns, int64_t tile_size)
        : images(batch),
          rows(divide_up(out_rows, tile_size)),
          columns(divide_up(out_columns, tile_size)) {}

    int64_t count() const { return images * rows * columns; }
    TileAt at(int64_t index) const {
        return {index / (rows * columns), index / columns % rows, index % columns};
    }
    // The one behind it; divisions would take longer than a tile's transform of few channels.
    TileAt after(TileAt tile) const {
        if (++tile.column == columns) {
            tile.column = 0;
            if (++tile.row == rows) {
                tile.row = 0;
                ++tile.image;
            }
        }
        return tile;
    }
};

// What FromPoints says of the outputs of some tiles.
template <class T>
struct OutputCheck {
    T zeros[line_size<T>] = {};  // as many as the widest vector has

    bool all_finite(int64_t channels, int64_t width) const {
        T total = 0;
        for (int64_t i = 0; i < std::min(channels, width); ++i) total += zeros[i];
        return total == T(0);
    }
};

// Dense NHWC images whose tiles go to points, all phases of stride * stride as channels side by
// side: channel (a * stride + b) * channels + c is c of every stride-th pixel from (a, b) on. Tiles
// are `step` pixels of a phase apart; phase (0, 0) begins at (-top, -left).
template <class T>
struct TiledImages {
    OutputGradient<T> values;
    int64_t height, width, channels;
    const TileGrid& grid;
    int points;
    int64_t step, top, left, stride;

    // Channels [first_channel, first_channel + count) of tiles [first, last), of size x size pixels
    // each, to their points. transform is winograd_input or winograd_filter. sum, unless it is
    // null, grows by every pixel.
    template <class Transform>
    void to_points(int64_t first_channel, int64_t count, int64_t first, int64_t last, int64_t size,
                   const Transform& transform, const PointsLayout<T>& layout, T* to,
                   T* sum = nullptr) const {
        // In this order: the last vector of a phase may spill over to the next one's channels.
        for (int64_t done = 0; done < count;) {
            const int64_t phase = (first_channel + done) / channels;
            const int64_t channel = (first_channel + done) % channels;
            const int64_t some = std::min(count - done, channels - channel);
            phase_to_points(phase, channel, some, first, last, size, transform, layout, to + done,
                            sum ? sum + done : nullptr);
            done += some;
        }
    }

 private:
    template <class Transform>
    void phase_to_points(int64_t phase, int64_t first_channel, int64_t count, int64_t first,
                         int64_t last, int64_t size, const Transform& transform,
                         const PointsLayout<T>& layout, T* to, T* sum) const {
        const int64_t down = phase / stride - top, right = phase % stride - left;
        // Of a tile's pixels, the first one from `at` on that is not before `edge`.
        const auto first_from = [&](int64_t at, int64_t edge) {
            if (edge <= at) return int64_t(0);
            if (edge - at >= size * stride) return size;
            return divide_up(edge - at, stride);
        };
        ToPoints<T> tile = {};
        tile.from = values.dy + first_channel;
        tile.from_size = grid.images * height * width * channels - first_channel;
        tile.activation = values.activation;
        tile.saved = values.y ? values.y + first_channel : nullptr;
        tile.row_stride = stride * width * channels;
        tile.column_stride = stride * channels;
        tile.channels = count;
        tile.point_stride = layout.point_stride;
        tile.sum = sum;
        const auto row = [&](const TileAt& at) { return at.row * step * stride + down; };
        const auto column = [&](const TileAt& at) { return at.column * step * stride + right; };
        // Where a tile's first pixel lies in memory, or would.
        const auto origin = [&](const TileAt& at) {
            return ((at.image * height + row(at)) * width + column(at)) * channels;
        };
        TileAt at = grid.at(first);
        for (int64_t index = first; index < last; ++index) {
            const TileAt next = grid.after(at);
            const int64_t h = row(at), w = column(at);
            tile.first_row = first_from(h, 0);
            tile.last_row = first_from(h, height);
            tile.first_column = first_from(w, 0);
            tile.last_column = first_from(w, width);
            tile.from_at = origin(at);
            tile.next_at = index + 1 < last ? origin(next) : tile.from_at;
            tile.to = to + (index - first) * layout.tile_stride;
            at = next;
            transform(tile);
        }
    }
};

}  // namespace rot180
