/** Small images for tests. */
import { crc32, deflateSync } from "node:zlib"

function chunk(name: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(name, "latin1"), data])
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  checksum.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, checksum])
}

/** A PNG of one colour; `padding` makes it larger. */
export function png(
  width: number,
  height: number,
  { colour = [200, 30, 60], padding = 0 }: { readonly colour?: readonly number[]; readonly padding?: number } = {},
): Uint8Array {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 2, 0, 0, 0], 8)
  const line = Buffer.from([0, ...Array.from({ length: width }, () => colour).flat()])
  const lines = Buffer.concat(Array.from({ length: Math.min(height, 300) }, () => line))
  return new Uint8Array(
    Buffer.concat([
      Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
      chunk("IHDR", header),
      chunk("IDAT", deflateSync(lines)),
      ...(padding > 0 ? [chunk("tEXt", Buffer.alloc(padding))] : []),
      chunk("IEND", Buffer.alloc(0)),
    ]),
  )
}

/** The beginning of a JPEG: an application segment, a table, and the frame header with the size. */
export function jpegStart(width: number, height: number, marker = 0xc0): Uint8Array {
  const frame = Buffer.alloc(19)
  frame.set([0xff, marker, 0, 17, 8])
  frame.writeUInt16BE(height, 5)
  frame.writeUInt16BE(width, 7)
  return new Uint8Array([0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 1, 0xff, 0xc4, 0, 3, 9, ...frame])
}
