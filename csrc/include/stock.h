// Memory that one call leaves to the next.
#pragma once

#include <cstdint>

namespace headgate {

// So many bytes, on a cache line; in large pages where they fill half of one. Throws std::bad_alloc.
void* lend(int64_t bytes);
// What was lent and is not used any more, from whatever thread.
void take_back(void* start);

}  // namespace headgate
