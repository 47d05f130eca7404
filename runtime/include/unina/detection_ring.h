/* The shared-memory ring of detections: what a file written by `unina-detector serve --ring` holds.
 *
 * For C11, C++ and any language that can map a file; all values little-endian, at their natural
 * alignment. One process writes, any number read; nobody waits for anybody. docs/service.md,
 * "The ring".
 *
 * Message n (counted from 0) stands in slot n % slot_count. A slot's `sequence` is 2n + 1 while
 * message n is being written and 2n + 2 when it is complete, so that a reader who sees 2n + 2
 * before and after its copy has message n whole (a sequence lock; Boehm, "Can seqlocks get along
 * with programming language memory models?", MSPC 2012). unina_ring_read does that.
 */
#ifndef UNINA_DETECTION_RING_H
#define UNINA_DETECTION_RING_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
#define UNINA_RING_ASSERT(condition) static_assert(condition, #condition)
extern "C" {
#else
#define UNINA_RING_ASSERT(condition) _Static_assert(condition, #condition)
#endif

#define UNINA_RING_MAGIC "UNINARG1" /* 8 bytes, without a final zero */
#define UNINA_RING_VERSION 1u
#define UNINA_RING_MAX_CLASSES 128
#define UNINA_RING_NAME_BYTES 32

/* At the start of the file. All but `written` and `closed` stays as it is. */
struct unina_ring_header {
  char magic[8];
  uint32_t version;      /* UNINA_RING_VERSION */
  uint32_t header_bytes; /* where slot 0 begins */
  uint32_t slot_bytes;   /* from one slot to the next */
  uint32_t slot_count;
  uint32_t max_detections; /* room for so many in a slot */
  uint32_t class_count;
  int64_t created_realtime_ns;
  uint64_t written; /* atomic: messages complete, so that n - 1 is the newest */
  uint32_t closed;  /* atomic: 1 when the writer ended in order; map the file anew then */
  uint32_t reserved[3];
  char class_names[UNINA_RING_MAX_CLASSES][UNINA_RING_NAME_BYTES]; /* UTF-8, cut, ends in 0 */
};

/* One detection. The box is in source pixels. */
struct unina_ring_detection {
  float x0, y0, x1, y1;
  float score;
  int32_t class_id;
};

/* One message; `detection_count` detections follow, by falling score. */
struct unina_ring_slot {
  uint64_t sequence;            /* atomic, see above */
  uint64_t frame;               /* id of the picture; ids that are missing were dropped */
  int64_t captured_ns;          /* CLOCK_MONOTONIC */
  int64_t submitted_ns;         /* CLOCK_MONOTONIC: handed to the accelerator */
  int64_t done_ns;              /* CLOCK_MONOTONIC: decoded */
  int64_t captured_realtime_ns; /* CLOCK_REALTIME */
  uint64_t drops;               /* since the start: replaced before the detector took them */
  uint64_t gaps;                /* since the start: missing in the source's own count */
  uint32_t width, height;       /* of the source picture */
  uint32_t stale;               /* 1: older than stale_ms when the detector took it */
  uint32_t detection_count;
};

UNINA_RING_ASSERT(offsetof(struct unina_ring_header, version) == 8);
UNINA_RING_ASSERT(offsetof(struct unina_ring_header, created_realtime_ns) == 32);
UNINA_RING_ASSERT(offsetof(struct unina_ring_header, written) == 40);
UNINA_RING_ASSERT(offsetof(struct unina_ring_header, closed) == 48);
UNINA_RING_ASSERT(offsetof(struct unina_ring_header, class_names) == 64);
UNINA_RING_ASSERT(sizeof(struct unina_ring_header) == 64 + 128 * 32);
UNINA_RING_ASSERT(sizeof(struct unina_ring_detection) == 24);
UNINA_RING_ASSERT(offsetof(struct unina_ring_slot, captured_realtime_ns) == 40);
UNINA_RING_ASSERT(offsetof(struct unina_ring_slot, width) == 64);
UNINA_RING_ASSERT(offsetof(struct unina_ring_slot, detection_count) == 76);
UNINA_RING_ASSERT(sizeof(struct unina_ring_slot) == 80);
UNINA_RING_ASSERT(sizeof(struct unina_ring_slot) % 8 == 0);
UNINA_RING_ASSERT(sizeof(struct unina_ring_detection) % 8 == 0);

#if defined(__GNUC__)
/* How many messages are complete; message n exists from n + 1 on. `ring` is the mapped file. */
static inline uint64_t unina_ring_written(const void* ring) {
  return __atomic_load_n(&((const struct unina_ring_header*)ring)->written, __ATOMIC_ACQUIRE);
}

/* Copies message n, with its detections, into `copy` (slot_bytes of room, aligned to 8).
 * 1: done; 0: not written yet, or overwritten already (even during the copy: `copy` is void). */
static inline int unina_ring_read(const void* ring, uint64_t n, void* copy) {
  const struct unina_ring_header* header = (const struct unina_ring_header*)ring;
  const uint64_t* slot = (const uint64_t*)((const char*)ring + header->header_bytes +
                                           (n % header->slot_count) * (size_t)header->slot_bytes);
  uint64_t* out = (uint64_t*)copy;
  size_t words = sizeof(struct unina_ring_slot) / 8, i;
  uint32_t count;
  if (__atomic_load_n(slot, __ATOMIC_ACQUIRE) != 2 * n + 2) return 0;
  for (i = 0; i < words; ++i) out[i] = __atomic_load_n(slot + i, __ATOMIC_ACQUIRE);
  memcpy(&count, (const char*)copy + offsetof(struct unina_ring_slot, detection_count), 4);
  if (count > header->max_detections) return 0; /* torn */
  words += count * (sizeof(struct unina_ring_detection) / 8);
  for (; i < words; ++i) out[i] = __atomic_load_n(slot + i, __ATOMIC_ACQUIRE);
  return __atomic_load_n(slot, __ATOMIC_RELAXED) == 2 * n + 2;
}
#endif

#ifdef __cplusplus
}
#endif
#endif
