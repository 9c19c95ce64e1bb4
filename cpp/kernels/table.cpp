// Gathers the kernels of one instruction set. CMake compiles this file once for each, with the
// flags of that set and ROT180_KERNEL_TABLE naming the symbol.
#include "activation.h"
#include "add_rows.h"
#include "add_windows.h"
#include "channel_norm.h"
#include "correlate_few.h"
#include "correlate_tile.h"
#include "depthwise_row.h"
#include "dropout.h"
#include "few_pixels.h"
#include "flat_row.h"
#include "kernels.h"
#include "loss.h"
#include "optim_step.h"
#include "outer_product.h"
#include "pack_lines.h"
#include "point_products.h"
#include "pool_row.h"
#include "resample_row.h"
#include "row_norm.h"
#include "softmax.h"
#include "winograd.h"

namespace rot180 {
namespace {

template <class T>
constexpr Kernels<T> kernels() {
    return {
        width<T>,
        max_vectors,
        tile_pixels,
        pack_lines<T>,
        correlate_tiles<T>,
        correlate_few<T>,
        correlate_flat_rows<T>,
        add_flat_gradient<T>,
        correlate_few_pixels<T>,
        few_pixels_grad_weight<T>,
        outer_product<T>,
        add_windows<T>,
        depthwise_row<T>,
        depthwise_grad_row<T>,
        add_rows<T>,
        winograd_input<T>,
        winograd_filter<T>,
        multiply_points<T>,
        sum_points<T>,
        winograd_output<T>,
        add_moments<T>,
        normalize<T>,
        add_grad_moments<T>,
        normalize_grad<T>,
        normalize_rows<T>,
        normalize_rows_grad<T>,
        max_pool_row<T, int32_t>,
        max_pool_grad_row<T, int32_t>,
        max_pool_row<T, uint8_t>,
        max_pool_grad_row<T, uint8_t>,
        mean_row<T>,
        weighted_row<T>,
        activate<T>,
        add<T>,
        activate_grad<T>,
        dropout<T>,
        softmax_rows<T>,
        softmax_grad_rows<T>,
        element_loss<T>,
        element_loss_grad<T>,
        binary_cross_entropy<T>,
        binary_cross_entropy_grad<T>,
        adam<T>,
        sgd<T>,
        rmsprop<T>,
        move_towards<T>,
        sum_of_squares<T>,
        scale<T>,
    };
}

}  // namespace

extern "C" {
extern const KernelTable ROT180_KERNEL_TABLE;
const KernelTable ROT180_KERNEL_TABLE = {kernels<float>(), kernels<double>()};
}

}  // namespace rot180
