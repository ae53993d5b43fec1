/* Attention of one new token a row over the row's own length; compiled by native.py with WIDTH, SHARE and T given.

   Keys and values of a layer are (slots, groups, capacity, WIDTH); row r has slot r and `positions[r]` tokens before the
   new one. The new keys and values (rows, groups, WIDTH) are put in their place first. `queries` are (rows, groups,
   SHARE, WIDTH), where SHARE heads read the same keys, so that each key is fetched once for all of them. Sums are taken
   in float. Strides are in elements from one row to the next; `scores` has room for SHARE * capacity. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef BFLOAT16
typedef uint16_t T;
static inline float widen(T x) { uint32_t u = (uint32_t)x << 16; float f; memcpy(&f, &u, 4); return f; }
static inline T narrow(float f) { uint32_t u; memcpy(&u, &f, 4); return (T)((u + 0x7fff + ((u >> 16) & 1)) >> 16); }
#else
typedef float T;
static inline float widen(T x) { return x; }
static inline T narrow(float f) { return f; }
#endif

static float to_weights(float *scores, int64_t count) {
    float top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < count; j++) top = scores[j] > top ? scores[j] : top;
    for (int64_t j = 0; j < count; j++) { scores[j] = expf(scores[j] - top); sum += scores[j]; }
    return sum;
}

static void group(const T *queries, const T *keys, const T *values, float *scores, int64_t capacity, int64_t count,
                  float scale, T *out) {
    float query[SHARE][WIDTH], mean[SHARE][WIDTH], sum[SHARE];
    for (int a = 0; a < SHARE; a++)
        for (int d = 0; d < WIDTH; d++) { query[a][d] = widen(queries[a * WIDTH + d]) * scale; mean[a][d] = 0; }
    for (int64_t j = 0; j < count; j++) {
        float key[WIDTH];
        for (int d = 0; d < WIDTH; d++) key[d] = widen(keys[j * WIDTH + d]);
        for (int a = 0; a < SHARE; a++) {
            float score = 0;
            for (int d = 0; d < WIDTH; d++) score += query[a][d] * key[d];
            scores[a * capacity + j] = score;
        }
    }
    for (int a = 0; a < SHARE; a++) sum[a] = to_weights(scores + a * capacity, count);
    for (int64_t j = 0; j < count; j++) {
        float value[WIDTH];
        for (int d = 0; d < WIDTH; d++) value[d] = widen(values[j * WIDTH + d]);
        for (int a = 0; a < SHARE; a++) {
            float weight = scores[a * capacity + j];
            for (int d = 0; d < WIDTH; d++) mean[a][d] += weight * value[d];
        }
    }
    for (int a = 0; a < SHARE; a++)
        for (int d = 0; d < WIDTH; d++) out[a * WIDTH + d] = narrow(mean[a][d] / sum[a]);
}

void attend(int64_t rows, int64_t groups, int64_t capacity, const int64_t *positions, float scale, const T *queries,
            int64_t query_stride, const T *new_keys, int64_t key_stride, const T *new_values, int64_t value_stride,
            T *keys, T *values, float *scores, T *out) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t h = 0; h < groups; h++) {
            int64_t slot = (r * groups + h) * capacity * WIDTH, at = slot + positions[r] * WIDTH;
            memcpy(keys + at, new_keys + r * key_stride + h * WIDTH, WIDTH * sizeof(T));
            memcpy(values + at, new_values + r * value_stride + h * WIDTH, WIDTH * sizeof(T));
            group(queries + r * query_stride + h * SHARE * WIDTH, keys + slot, values + slot, scores, capacity,
                  positions[r] + 1, scale, out + (r * groups + h) * SHARE * WIDTH);
        }
}
