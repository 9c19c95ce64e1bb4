// Writes an array as NumPy's .npy: a header that tells its type and shape, then the numbers.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

inline void save_npy(const char* path, const std::vector<double>& values,
                     const std::vector<int>& shape) {
    std::string header = "{'descr': '<f8', 'fortran_order': False, 'shape': (";
    for (int size : shape) header += std::to_string(size) + ",";
    header += ")}";
    while ((10 + header.size() + 1) % 64 != 0) header += ' ';
    header += '\n';
    const auto length = static_cast<std::uint16_t>(header.size());

    std::FILE* file = std::fopen(path, "wb");
    if (!file) {
        std::perror(path);
        std::exit(1);
    }
    std::fwrite("\x93NUMPY\x01\x00", 1, 8, file);
    std::fwrite(&length, sizeof length, 1, file);
    std::fwrite(header.data(), 1, header.size(), file);
    std::fwrite(values.data(), sizeof(double), values.size(), file);
    std::fclose(file);
}
