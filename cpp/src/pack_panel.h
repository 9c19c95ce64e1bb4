// Weights of a correlation as the tiles read them.
#pragma once

#include <algorithm>

#include "correlation.h"
#include "kernels.h"
#include "panels.h"

namespace rot180 {

// Packs lines [first, first + count) of a panel as (count, lanes), zero past the last channel; says
// whether every weight is finite. Lines are (tap_rows, tap_columns, run).
template <class T>
bool pack_panel(const Kernels<T>& kernels, const Correlation& part, const Panels& panels,
                const T* weight, int64_t panel, int64_t first, int64_t count, T* to) {
    const T* group = weight + part.weight_offset + panels.group(panel) * part.weight_group_stride +
                     panels.first_channel(panel) * part.weight_out_stride;
    PackLines<T> pack = {};
    pack.line_stride = part.weight_in_stride;
    pack.channel_stride = part.weight_out_stride;
    pack.channels = panels.channels(panel);
    pack.lanes = panels.lanes(panel);
    pack.checked = true;
    bool finite = true;
    for (int64_t line = first; line < first + count; line += pack.lines) {
        const int64_t c = line % part.run, tap = line / part.run;
        const int64_t r = tap / part.tap_columns, s = tap % part.tap_columns;
        pack.from = group + r * part.weight_row_stride + s * part.weight_column_stride +
                    c * part.weight_in_stride;
        pack.lines = std::min(part.run - c, first + count - line);
        pack.to = to + (line - first) * pack.lanes;
        finite &= kernels.pack_lines(pack);
    }
    return finite;
}

}  // namespace rot180
