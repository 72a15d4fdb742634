// The tile instructions of AMX on processors without them: such a processor raises an exception at each, and this handler
// does what the instruction would have done. So the engine's very code for AMX runs and can be tested anywhere.
//
// trap_tiles() begins it, free_tiles() ends it. `products_made` counts; `products_left_out` is a processor that is wrong.
#include <atomic>
#include <csignal>
#include <cstdint>

#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "tiles.h"

extern "C" {
std::atomic<int64_t> products_made{0};
int products_left_out = 0;
}

namespace {

using headgate::emulated_tiles;
using headgate::tile_shapes;

thread_local emulated_tiles tiles;
struct sigaction before;

int64_t value(const ucontext_t* context, int number) {
  static constexpr int PLACE[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return context->uc_mcontext.gregs[PLACE[number]];
}

// An instruction with a three-byte VEX prefix, as Intel's manual has it (volume 2, 2.3).
struct instruction {
  const uint8_t* code;
  bool known = false;
  int prefix = 0, opcode = 0, mode = 0, first = 0, second = 0, third = 0, length = 0;  // tiles, in the order of encoding
  int64_t place = 0, stride = 0;

  void* address() const { return reinterpret_cast<void*>(place); }

  instruction(const ucontext_t* context) : code(reinterpret_cast<const uint8_t*>(context->uc_mcontext.gregs[REG_RIP])) {
    constexpr int MAP_0F38 = 2;
    if (code[0] != 0xc4 || (code[1] & 31) != MAP_0F38) return;
    known = true;
    prefix = code[2] & 3, opcode = code[3];
    mode = code[4] >> 6, first = code[4] >> 3 & 7, second = code[4] & 7, third = ~code[2] >> 3 & 7;
    length = 5;
    if (mode == 3) return;
    const int high_index = ~code[1] >> 3 & 8, high_base = ~code[1] >> 2 & 8;
    int64_t base = 0;
    if (second == 4) {
      const int scale = code[5] >> 6, index = (code[5] >> 3 & 7) | high_index, number = code[5] & 7;
      length = 6;
      if (index != 4) stride = value(context, index) << scale;
      if (number != 5 || mode) base = value(context, number | high_base);
      add_displacement(mode == 0 && number == 5 ? 2 : mode);
    } else if (second == 5 && mode == 0) {
      add_displacement(2);
      base = context->uc_mcontext.gregs[REG_RIP] + length;
    } else {
      base = value(context, second | high_base);
      add_displacement(mode);
    }
    place += base;
  }

  void add_displacement(int size) {
    if (size == 1) place += static_cast<int8_t>(code[length]);
    int32_t far;
    std::memcpy(&far, code + length, sizeof far);
    if (size == 2) place += far;
    length += size == 2 ? 4 : size;
  }
};

bool run(const instruction& at) {
  enum { NONE, P66, PF3, PF2 };
  const bool memory = at.mode != 3;
  if (!at.known) return false;
  if (at.opcode == 0x49 && at.prefix == NONE && memory) {
    tile_shapes shapes;
    std::memcpy(&shapes, at.address(), sizeof shapes);
    tiles.configure(shapes);
  } else if (at.opcode == 0x49 && at.prefix == NONE) {
    tiles.release();
  } else if (at.opcode == 0x49 && at.prefix == PF2 && !memory) {
    tiles.clear(at.first);
  } else if (at.opcode == 0x4b && at.prefix == PF2 && memory) {
    tiles.load(at.first, at.address(), at.stride);
  } else if (at.opcode == 0x4b && at.prefix == PF3 && memory) {
    tiles.store(at.first, at.address(), at.stride);
  } else if (at.opcode == 0x5c && at.prefix == PF3 && !memory) {
    ++products_made;
    if (!products_left_out) tiles.multiply(at.first, at.second, at.third);
  } else {
    return false;
  }
  return true;
}

}  // namespace

extern "C" {
static void trapped(int, siginfo_t*, void* given) {
  ucontext_t* context = static_cast<ucontext_t*>(given);
  const instruction at(context);
  if (!run(at)) {
    sigaction(SIGILL, &before, nullptr);  // and the same instruction again
    return;
  }
  context->uc_mcontext.gregs[REG_RIP] += at.length;
}

// Where the processor has tiles and the system grants them, nothing is trapped. Without that grant some of its instructions
// would raise an exception, and those that only say how tiles are shaped would not.
void trap_tiles(void) {
  constexpr long REQUEST_PERMISSION = 0x1023, TILE_DATA = 18;
  syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA);
  struct sigaction action {};
  action.sa_sigaction = trapped;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGILL, &action, &before);
}

void free_tiles(void) { sigaction(SIGILL, &before, nullptr); }
}

#if defined(TRAP_AT_START)
[[maybe_unused]] static const bool begun = (trap_tiles(), true);
#endif
