#include "shapes.h"

#include <cstdint>
#include <map>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace rot180_bench {

const std::vector<std::string> conv2d_names = {
    "n128 h28 w28 c1 k6 r5 s5 p2",  // LeNet-5
    "n128 h14 w14 c6 k16 r5 s5",
    "n128 h28 w28 c1 k32 r3 s3",  // MNIST CNN
    "n128 h26 w26 c32 k64 r3 s3",
    "n128 h32 w32 c3 k64 r3 s3 p1",  // VGG-small
    "n128 h32 w32 c64 k64 r3 s3 p1",
    "n128 h8 w8 c256 k256 r3 s3 p1",
    "n128 h32 w32 c16 k16 r3 s3 p1",  // ResNet-20
    "n128 h32 w32 c16 k32 r3 s3 p1 x2",
    "n128 h32 w32 c16 k32 r1 s1 x2",
    "n8 h224 w224 c3 k64 r7 s7 p3 x2",  // ResNet-50
    "n8 h56 w56 c64 k64 r3 s3 p1",
    "n8 h56 w56 c64 k256 r1 s1",
    "n8 h56 w56 c256 k512 r1 s1 x2",
    "n8 h14 w14 c256 k256 r3 s3 p1",
    "n8 h7 w7 c512 k512 r3 s3 p1",
    "n1 h28 w28 c128 k128 r3 s3 p1",  // a batch of one
    "n1 h7 w7 c512 k512 r3 s3 p1",
    "n8 h112 w112 c32 k32 r3 s3 p1 g32",  // MobileNet
    "n8 h112 w112 c64 k64 r3 s3 p1 x2 g64",
    "n8 h14 w14 c512 k512 r3 s3 p1 g512",
    "n8 h14 w14 c512 k512 r1 s1",
    "n64 h8 w8 c256 k128 r4 s4 p1 x2 transposed",  // DCGAN
    "n64 h32 w32 c64 k3 r4 s4 p1 x2 transposed",
    "n64 h64 w64 c3 k64 r4 s4 p1 x2",
    "n128 h13 w13 c19 k33 r3 s3 p1",  // awkward
    "n4 h161 w700 c1 k32 r5 s20 x2",
    "n128 h60 w60 c16 k16 r1 s1",
    "n128 h17 w9 c5 k7 r3 s2 p1,0,2,1 x2,3 d1,2",
    "n1 h8 w8 c1 k4 r3 s3",  // what a call costs
};

namespace {

using Numbers = std::vector<int64_t>;

std::map<char, Numbers> fields_of(const std::string& words) {
    static const std::regex field(
        "transposed|[nhwckrsg][1-9]\\d{0,8}|[xd][1-9]\\d{0,8}(,[1-9]\\d{0,8})?|"
        "p\\d{1,9}(,\\d{1,9}|(,\\d{1,9}){3})?");
    std::map<char, Numbers> fields = {{'p', {0}}, {'x', {1}}, {'d', {1}}, {'g', {1}}};
    std::istringstream text(words);
    for (std::string word; text >> word;) {
        if (!std::regex_match(word, field)) {
            throw std::invalid_argument("'" + word + "' is no field: expected one such as c64");
        }
        if (word == "transposed") word = "t1";
        Numbers numbers;
        std::istringstream list(word.substr(1));
        for (std::string number; std::getline(list, number, ',');) {
            numbers.push_back(std::stoll(number));
        }
        fields[word[0]] = numbers;
    }
    for (const char name : std::string("nhwckrs")) {
        if (!fields.count(name)) throw std::invalid_argument(std::string("lacks ") + name);
    }
    return fields;
}

}  // namespace

NamedConv2d NamedConv2d::parse(const std::string& name) try {
    const std::map<char, Numbers> fields = fields_of(name);
    const auto first = [&](char field) { return fields.at(field).front(); };
    const auto last = [&](char field) { return fields.at(field).back(); };
    Numbers pad = fields.at('p');  // top, bottom, left, right
    if (pad.size() < 4) pad = {pad.front(), pad.front(), pad.back(), pad.back()};

    rot180::Conv2dShape shape{};
    shape.batch = first('n'), shape.groups = first('g');
    shape.height = first('h'), shape.width = first('w');
    shape.in_channels = first('c'), shape.out_channels = first('k');
    shape.kernel_height = first('r'), shape.kernel_width = first('s');
    shape.stride_h = first('x'), shape.stride_w = last('x');
    shape.dilation_h = first('d'), shape.dilation_w = last('d');
    shape.pad_top = pad[0], shape.pad_left = pad[2];
    // The window, less the padding: what an output needs of the image beyond its stride.
    const int64_t rows = shape.dilation_h * (shape.kernel_height - 1) + 1 - pad[0] - pad[1];
    const int64_t columns = shape.dilation_w * (shape.kernel_width - 1) + 1 - pad[2] - pad[3];
    const bool transposed = fields.count('t');
    if (transposed) {
        std::swap(shape.in_channels, shape.out_channels);
        shape.out_height = std::exchange(shape.height, (shape.height - 1) * shape.stride_h + rows);
        shape.out_width = std::exchange(shape.width, (shape.width - 1) * shape.stride_w + columns);
    } else {
        shape.out_height = (shape.height - rows) / shape.stride_h + 1;
        shape.out_width = (shape.width - columns) / shape.stride_w + 1;
    }
    shape.validate();
    return {shape, transposed};
} catch (const std::invalid_argument& error) {
    throw std::invalid_argument("\"" + name + "\": " + error.what());
}

double NamedConv2d::flops() const {
    const rot180::Conv2dShape& s = convolution;
    return 2.0 * double(s.output_size()) *
           double(s.kernel_height * s.kernel_width * s.group_in_channels());
}

}  // namespace rot180_bench
