// The page of the service, used by a browser as people use it. The tests of the service start this; by
// hand, from a folder whose node_modules hold @playwright/test and axe-core:
//
//     AVOCET_PROGRAM=target/debug/avocet AVOCET_CLIP=clip.mp4 playwright test
import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: ".",
  // The machines of the tests may be slow and busy.
  timeout: 180_000,
  expect: { timeout: 60_000 },
  // One at a time: they measure what the browser does, and share processors with other tests.
  workers: 1,
  reporter: "line",
  outputDir: process.env.AVOCET_PICTURES ? `${process.env.AVOCET_PICTURES}/failed` : "failed",
  use: {
    viewport: { width: 1200, height: 800 },
    launchOptions: {
      executablePath: process.env.AVOCET_CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox", "--mute-audio", "--autoplay-policy=no-user-gesture-required"],
    },
    permissions: ["clipboard-read", "clipboard-write"],
    screenshot: "only-on-failure",
  },
});
