/* The shared-memory ring of pictures: how another process gives pictures to `unina-detector` with
 * `--source frames:PATH`, without a copy between them.
 *
 * For C11 and C++, little-endian, on a tmpfs. One process produces, one consumes; nobody waits for
 * anybody. A slot belongs to whoever changed its `state`: the producer takes a slot that is free,
 * or the oldest that is ready, and fills it; the consumer takes the newest that is ready, holds it
 * while it works on the pixels where they lie, and frees it. docs/service.md, "Pictures from
 * another process".
 */
#ifndef UNINA_FRAME_RING_H
#define UNINA_FRAME_RING_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define UNINA_FRAMES_ASSERT(condition) static_assert(condition, #condition)
extern "C" {
#else
#define UNINA_FRAMES_ASSERT(condition) _Static_assert(condition, #condition)
#endif

#define UNINA_FRAMES_MAGIC "UNINAFR1" /* 8 bytes, without a final zero */
#define UNINA_FRAMES_VERSION 1u
/* The consumer holds up to four, one is the newest, one is being filled. */
#define UNINA_FRAMES_LEAST_SLOTS 6u
#define UNINA_FRAMES_MOST_SLOTS 64u

enum unina_frame_state {
  UNINA_FRAME_FREE = 0,
  UNINA_FRAME_FILLING = 1, /* the producer's */
  UNINA_FRAME_READY = 2,
  UNINA_FRAME_HELD = 3 /* the consumer's */
};

enum unina_frame_format {
  UNINA_FRAME_BGR = 0,  /* B G R */
  UNINA_FRAME_RGBA = 1, /* R G B A */
  UNINA_FRAME_NV12 = 2, /* a plane of Y, then from row `height` on one of U V pairs */
  UNINA_FRAME_UYVY = 3  /* U Y V Y */
};

struct unina_frame_slot {
  uint32_t state; /* atomic */
  uint32_t reserved;
  uint64_t sequence;   /* the producer's own count: a step of more than one is a gap */
  int64_t captured_ns; /* CLOCK_MONOTONIC */
};

/* At the start of the file. All but `closed` and the slots stays as it is. */
struct unina_frame_header {
  char magic[8];
  uint32_t version;      /* UNINA_FRAMES_VERSION */
  uint32_t pixels_start; /* where the pixels of slot 0 begin */
  uint64_t pixels_bytes; /* from one slot's pixels to the next */
  uint32_t slot_count;
  uint32_t width, height;
  uint32_t row_stride; /* bytes */
  uint32_t format;     /* enum unina_frame_format */
  uint32_t closed;     /* atomic: 1 when the producer ended */
  uint32_t reserved[4];
  struct unina_frame_slot slots[UNINA_FRAMES_MOST_SLOTS];
};

UNINA_FRAMES_ASSERT(sizeof(struct unina_frame_slot) == 24);
UNINA_FRAMES_ASSERT(offsetof(struct unina_frame_header, pixels_bytes) == 16);
UNINA_FRAMES_ASSERT(offsetof(struct unina_frame_header, slot_count) == 24);
UNINA_FRAMES_ASSERT(offsetof(struct unina_frame_header, format) == 40);
UNINA_FRAMES_ASSERT(offsetof(struct unina_frame_header, closed) == 44);
UNINA_FRAMES_ASSERT(offsetof(struct unina_frame_header, slots) == 64);
UNINA_FRAMES_ASSERT(sizeof(struct unina_frame_header) == 64 + 64 * 24);

#if defined(__GNUC__)
/* Where the pixels of a slot are. */
static inline void* unina_frame_pixels(struct unina_frame_header* ring, int slot) {
  return (char*)ring + ring->pixels_start + (size_t)slot * ring->pixels_bytes;
}

/* Changes the state of a slot that has this one. */
static inline int unina_frame_turn(struct unina_frame_header* ring, int slot, uint32_t from,
                                   uint32_t to) {
  return __atomic_compare_exchange_n(&ring->slots[slot].state, &from, to, 0, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE);
}

/* The slot with the least (`newest` 0) or the greatest sequence that has this state, or -1. */
static inline int unina_frame_find(const struct unina_frame_header* ring, uint32_t state,
                                   int newest) {
  int found = -1;
  uint64_t best = 0;
  uint32_t i;
  for (i = 0; i < ring->slot_count; ++i) {
    uint64_t sequence;
    if (__atomic_load_n(&ring->slots[i].state, __ATOMIC_ACQUIRE) != state) continue;
    sequence = __atomic_load_n(&ring->slots[i].sequence, __ATOMIC_RELAXED);
    if (found < 0 || (newest ? sequence > best : sequence < best)) {
      found = (int)i;
      best = sequence;
    }
  }
  return found;
}

/* The producer: a slot to fill, or -1 (which cannot be with UNINA_FRAMES_LEAST_SLOTS slots). */
static inline int unina_frame_begin(struct unina_frame_header* ring) {
  int tries;
  for (tries = 0; tries < 16; ++tries) {
    int slot = unina_frame_find(ring, UNINA_FRAME_FREE, 0);
    if (slot >= 0 && unina_frame_turn(ring, slot, UNINA_FRAME_FREE, UNINA_FRAME_FILLING)) {
      return slot;
    }
    slot = unina_frame_find(ring, UNINA_FRAME_READY, 0);
    if (slot >= 0 && unina_frame_turn(ring, slot, UNINA_FRAME_READY, UNINA_FRAME_FILLING)) {
      return slot;
    }
  }
  return -1;
}

/* The producer: the slot is filled. */
static inline void unina_frame_commit(struct unina_frame_header* ring, int slot, uint64_t sequence,
                                      int64_t captured_ns) {
  __atomic_store_n(&ring->slots[slot].sequence, sequence, __ATOMIC_RELAXED);
  ring->slots[slot].captured_ns = captured_ns;
  __atomic_store_n(&ring->slots[slot].state, (uint32_t)UNINA_FRAME_READY, __ATOMIC_RELEASE);
}

/* The consumer: holds the newest slot, frees those that are older, and returns it; -1: none. */
static inline int unina_frame_take(struct unina_frame_header* ring) {
  int tries;
  for (tries = 0; tries < 16; ++tries) {
    uint64_t sequence;
    uint32_t i;
    const int slot = unina_frame_find(ring, UNINA_FRAME_READY, 1);
    if (slot < 0) return -1;
    if (!unina_frame_turn(ring, slot, UNINA_FRAME_READY, UNINA_FRAME_HELD)) continue;
    sequence = __atomic_load_n(&ring->slots[slot].sequence, __ATOMIC_RELAXED);
    for (i = 0; i < ring->slot_count; ++i) {
      if (__atomic_load_n(&ring->slots[i].state, __ATOMIC_ACQUIRE) == UNINA_FRAME_READY &&
          __atomic_load_n(&ring->slots[i].sequence, __ATOMIC_RELAXED) < sequence &&
          unina_frame_turn(ring, (int)i, UNINA_FRAME_READY, UNINA_FRAME_HELD)) {
        /* It may have been filled anew in between: then it goes back. */
        const int older = __atomic_load_n(&ring->slots[i].sequence, __ATOMIC_RELAXED) < sequence;
        __atomic_store_n(&ring->slots[i].state,
                         (uint32_t)(older ? UNINA_FRAME_FREE : UNINA_FRAME_READY),
                         __ATOMIC_RELEASE);
      }
    }
    return slot;
  }
  return -1;
}

/* The consumer: done with a slot. */
static inline void unina_frame_release(struct unina_frame_header* ring, int slot) {
  __atomic_store_n(&ring->slots[slot].state, (uint32_t)UNINA_FRAME_FREE, __ATOMIC_RELEASE);
}
#endif

#ifdef __cplusplus
}
#endif
#endif
