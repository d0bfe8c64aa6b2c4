// Which sanitizer this is compiled with: gcc defines macros, clang answers __has_feature.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define LAMINAE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LAMINAE_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define LAMINAE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LAMINAE_TSAN 1
#endif
#endif
