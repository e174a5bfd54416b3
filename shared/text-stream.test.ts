import { expect, test } from "vitest"
import { textStream } from "./text-stream.ts"

test("the texts are the body, and a reader who leaves ends the generator", async () => {
  const seen: string[] = []
  async function* texts() {
    try {
      for (let number = 1; ; number++) yield `${number}\n`
    } finally {
      seen.push("ended")
    }
  }
  const reader = textStream(texts()).getReader()
  const read = async () => new TextDecoder().decode((await reader.read()).value)
  expect([await read(), await read()]).toEqual(["1\n", "2\n"])
  await reader.cancel()
  expect(seen).toEqual(["ended"])
})
