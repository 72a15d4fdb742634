// Memory for the length of a call: what is small lies on the caller's stack, since a call of one step takes microseconds, and
// a dozen requests to the heap as many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>

namespace headgate {
namespace {

constexpr size_t LINE = 64;

struct give_back {
  std::pmr::memory_resource* to = nullptr;
  size_t bytes = 0;
  void operator()(void* start) const { to->deallocate(start, bytes, LINE); }
};

// So many values that nothing is written to yet, or none.
template <class T>
using block = std::unique_ptr<T[], give_back>;

class call_memory {
 public:
  template <class T>
  block<T> room(int64_t count) {
    if (!count) return nullptr;
    const size_t bytes = static_cast<size_t>(count) * sizeof(T);
    return {static_cast<T*>(source()->allocate(bytes, LINE)), {source(), bytes}};
  }

#if defined(__SANITIZE_ADDRESS__)
  // Each block by itself, so that both of its ends are watched.
  static std::pmr::memory_resource* source() { return std::pmr::new_delete_resource(); }
#else
  std::pmr::memory_resource* source() { return &memory_; }

 private:
  alignas(LINE) std::byte first_[32768];
  std::pmr::monotonic_buffer_resource memory_{first_, sizeof first_};
#endif
};

}  // namespace
}  // namespace headgate
