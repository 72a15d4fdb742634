// Memory for the length of a call: what is small lies on the caller's stack, since a call of one step takes microseconds, and
// a dozen requests to the heap as many. What is large comes from the stock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>

#include "stock.h"

namespace headgate {
namespace {

constexpr int64_t LINE = 64;

struct give_back {
  std::pmr::memory_resource* to = nullptr;
  size_t bytes = 0;
  void operator()(void* start) const { to->deallocate(start, bytes, LINE); }
};

// So many values that nothing is written to yet, or none.
template <class T>
using block = std::unique_ptr<T[], give_back>;

#if defined(__SANITIZE_ADDRESS__)
// Each block by itself, so that both of its ends are watched.
inline std::pmr::memory_resource* own_memory() { return std::pmr::new_delete_resource(); }
#else
class stocked : public std::pmr::memory_resource {
  static constexpr size_t LARGE = size_t{1} << 19;

  void* do_allocate(size_t bytes, size_t alignment) override {
    if (bytes >= LARGE && alignment <= size_t{LINE}) return lend(static_cast<int64_t>(bytes));
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  void do_deallocate(void* start, size_t bytes, size_t alignment) override {
    if (bytes >= LARGE && alignment <= size_t{LINE}) return take_back(start);
    std::pmr::new_delete_resource()->deallocate(start, bytes, alignment);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

inline std::pmr::memory_resource* own_memory() {
  static stocked memory;
  return &memory;
}
#endif

template <class T>
block<T> room_in(std::pmr::memory_resource* memory, int64_t count) {
  if (!count) return nullptr;
  const size_t bytes = static_cast<size_t>(count) * sizeof(T);
  return {static_cast<T*>(memory->allocate(bytes, LINE)), {memory, bytes}};
}

// Memory of a thread's own, on a cache line.
template <class T>
block<T> lines(int64_t count) {
  return room_in<T>(own_memory(), count);
}

class call_memory {
 public:
  template <class T>
  block<T> room(int64_t count) {
    return room_in<T>(source(), count);
  }

#if defined(__SANITIZE_ADDRESS__)
  static std::pmr::memory_resource* source() { return own_memory(); }
#else
  std::pmr::memory_resource* source() { return &memory_; }

 private:
  alignas(LINE) std::byte first_[32768];
  std::pmr::monotonic_buffer_resource memory_{first_, sizeof first_, own_memory()};
#endif
};

}  // namespace
}  // namespace headgate
