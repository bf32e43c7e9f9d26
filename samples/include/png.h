// Writes an 8-bit indexed PNG with "stored" deflate blocks (RFC 1950, 1951; PNG specification, second edition): no library needed.
#pragma once

#include <cstdint>
#include <cstdio>
#include <vector>

namespace png {

static inline uint32_t crc32(const uint8_t* p, size_t n) {
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++) c = (c & 1) ? 0xedb88320u ^ (c >> 1) : c >> 1;
    }
    return ~c;
}

static inline void big_endian(std::vector<uint8_t>& to, uint32_t v) {
    for (int s = 24; s >= 0; s -= 8) to.push_back((uint8_t)(v >> s));
}

static inline bool chunk(FILE* f, const char* type, const std::vector<uint8_t>& body) {
    std::vector<uint8_t> typed(type, type + 4), length, sum;
    typed.insert(typed.end(), body.begin(), body.end());
    big_endian(length, (uint32_t)body.size());
    big_endian(sum, crc32(typed.data(), typed.size()));
    return fwrite(length.data(), 1, 4, f) == 4 && fwrite(typed.data(), 1, typed.size(), f) == typed.size() && fwrite(sum.data(), 1, 4, f) == 4;
}

// pixels: [height * width] palette indices; palette: [256 * 3] red, green, blue. False when the file cannot be written.
static inline bool write(const char* path, const std::vector<uint8_t>& pixels, uint32_t width, uint32_t height, const std::vector<uint8_t>& palette) {
    std::vector<uint8_t> raw;
    raw.reserve((size_t)(width + 1) * height);
    for (uint32_t y = 0; y < height; y++) {
        raw.push_back(0); // filter: none
        raw.insert(raw.end(), pixels.begin() + (size_t)y * width, pixels.begin() + (size_t)(y + 1) * width);
    }
    std::vector<uint8_t> z = {0x78, 0x01};
    uint32_t a = 1, b = 0; // Adler-32
    for (size_t at = 0; at < raw.size();) {
        size_t n = raw.size() - at < 65535 ? raw.size() - at : 65535;
        z.push_back(at + n == raw.size());
        z.push_back((uint8_t)n); z.push_back((uint8_t)(n >> 8));
        z.push_back((uint8_t)~n); z.push_back((uint8_t)(~n >> 8));
        z.insert(z.end(), raw.begin() + at, raw.begin() + at + n);
        for (size_t i = at; i < at + n; i++) { a = (a + raw[i]) % 65521; b = (b + a) % 65521; }
        at += n;
    }
    big_endian(z, b << 16 | a);

    std::vector<uint8_t> header;
    big_endian(header, width);
    big_endian(header, height);
    const uint8_t kind[] = {8, 3, 0, 0, 0}; // 8 bits, palette, deflate, standard filters, not interlaced
    header.insert(header.end(), kind, kind + 5);

    FILE* f = fopen(path, "wb");
    if (!f) return false;
    const uint8_t magic[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    bool ok = fwrite(magic, 1, 8, f) == 8 && chunk(f, "IHDR", header) && chunk(f, "PLTE", palette) && chunk(f, "IDAT", z) && chunk(f, "IEND", {});
    return (fclose(f) == 0) && ok;
}

} // namespace png
