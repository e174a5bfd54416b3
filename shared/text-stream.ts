/** A body that is made while it is read: the next text is asked for when the reader has taken the last. */
export function textStream(texts: AsyncGenerator<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let isCanceled = false
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await texts.next()
      if (isCanceled) return
      if (done) controller.close()
      else controller.enqueue(encoder.encode(value))
    },
    async cancel() {
      isCanceled = true
      await texts.return(undefined)
    },
  })
}
