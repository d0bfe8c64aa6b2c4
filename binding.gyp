{
  "variables": {
    "core_sources": ["<!@(node -p \"require('./native/sources.json').core.join(' ')\")"],
    "addon_sources": ["<!@(node -p \"require('./native/sources.json').addon.join(' ')\")"],
    "x64_sources": ["<!@(node -p \"require('./native/sources.json').x64.join(' ')\")"],
    "arm64_sources": ["<!@(node -p \"require('./native/sources.json').arm64.join(' ')\")"]
  },
  "targets": [{
    "target_name": "laminae",
    "sources": ["<@(core_sources)", "<@(addon_sources)"],
    "include_dirs": ["native", "<!(node -p \"require('node-addon-api').include_dir\")"],
    "defines": [
      "NAPI_VERSION=9",
      "NODE_ADDON_API_CPP_EXCEPTIONS",
      "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
    ],
    "cflags!": ["-fno-exceptions"],
    "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-std=gnu++20"],
    "cflags_cc": [
      "-std=c++17", "-O3", "-fvisibility=hidden",
      "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off",
      "-Wall", "-Wextra"
    ],
    "xcode_settings": {
      "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
      "GCC_ENABLE_CPP_RTTI": "YES",
      "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
      "CLANG_CXX_LIBRARY": "libc++",
      "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
      "MACOSX_DEPLOYMENT_TARGET": "11.0",
      "OTHER_CFLAGS": ["-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"]
    },
    "msvs_settings": {
      "VCCLCompilerTool": { "ExceptionHandling": 1, "AdditionalOptions": ["/std:c++17", "/fp:precise"] }
    },
    "conditions": [
      ["target_arch=='x64'", { "sources": ["<@(x64_sources)"], "defines": ["LAMINAE_X64=1"] }],
      ["target_arch=='arm64'", { "sources": ["<@(arm64_sources)"], "defines": ["LAMINAE_ARM64=1"] }],
      # Pool threads outlive a worker's environment, so the library must stay mapped when a worker unloads it.
      ["OS=='linux'", { "ldflags": ["-Wl,-z,nodelete"] }],
      ["OS=='win'", { "defines": ["_HAS_EXCEPTIONS=1", "NOMINMAX"] }]
    ]
  }]
}
