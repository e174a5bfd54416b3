/** Reads tables from files as a stream, with progress: CSV, plain or in gzip, detected by the first bytes. */
import { createReadStream } from "node:fs"
import { open, stat } from "node:fs/promises"
import type { Readable } from "node:stream"
import { createGunzip } from "node:zlib"
import { CsvReader, type CsvRow, TableError } from "../../../shared/learning/data/csv.ts"
import { type Table, TableBuilder } from "../../../shared/learning/data/table.ts"
import { InputError, type Output } from "../subcommand.ts"

/** Rows between two lines of progress. */
const PROGRESS_ROWS = 100_000
/** Larger chunks than the default of 64 KiB, for fewer concatenations with the rest of the previous chunk. */
const CHUNK_BYTES = 1 << 20

/** A table's header and its rows as a stream. */
export interface RowStream {
  readonly header: readonly string[]
  readonly rows: AsyncGenerator<CsvRow>
}

/** Opens a table. Throws `InputError` if the file cannot be read or is not a table. */
export async function openTable(path: string, output: Output): Promise<RowStream> {
  const reader = new CsvReader()
  const rows = rowsOf(path, reader, output)
  const first = await rows.next()
  const header = reader.header
  if (header === null) throw new InputError(`${path}: the file is empty.`)
  return { header, rows: following(first, rows) }
}

async function* following(first: IteratorResult<CsvRow>, rest: AsyncGenerator<CsvRow>): AsyncGenerator<CsvRow> {
  if (first.done === true) return
  yield first.value
  yield* rest
}

/** Reads a whole table. Throws `InputError` like `openTable`, or if it has no rows. */
export async function readTable(path: string, output: Output): Promise<Table> {
  const { header, rows } = await openTable(path, output)
  const builder = new TableBuilder(header)
  try {
    for await (const { fields } of rows) builder.add(fields)
  } catch (error) {
    throw named(path, error)
  }
  if (builder.rows === 0) throw new InputError(`${path}: there is a header and no row.`)
  return builder.build()
}

async function* rowsOf(path: string, reader: CsvReader, output: Output): AsyncGenerator<CsvRow> {
  let rows = 0
  try {
    const size = (await stat(path)).size
    if (size === 0) throw new TableError("The file is empty.")
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
    for await (const chunk of bytesOf(path)) {
      for (const row of reader.push(decoder.decode(chunk, { stream: true }))) {
        rows += 1
        if (rows % PROGRESS_ROWS === 0) output.progress(`${rows} rows read`)
        yield row
      }
    }
    yield* reader.push(decoder.decode())
    yield* reader.end()
  } catch (error) {
    throw named(path, error)
  }
}

/** The first two bytes, which identify the file type. */
async function firstBytes(path: string): Promise<Buffer> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

/** The file's bytes, decompressed if it is gzip. */
async function* bytesOf(path: string): AsyncGenerator<Buffer> {
  const magic = await firstBytes(path)
  if (magic[0] === 0x50 && magic[1] === 0x4b) {
    throw new TableError("The file is a zip or a workbook; a table is CSV, or CSV in gzip.")
  }
  if ((magic[0] === 0xff && magic[1] === 0xfe) || (magic[0] === 0xfe && magic[1] === 0xff)) {
    throw new TableError("The file is UTF-16; save it as UTF-8.")
  }
  const file = createReadStream(path, { highWaterMark: CHUNK_BYTES })
  const isGzip = magic[0] === 0x1f && magic[1] === 0x8b
  const bytes: Readable = isGzip ? file.pipe(createGunzip({ chunkSize: CHUNK_BYTES })) : file
  if (isGzip) file.on("error", (error) => bytes.destroy(error))
  yield* bytes as AsyncIterable<Buffer>
}

/** Converts errors that a user can fix to `InputError` with the file's name; returns other errors unchanged. */
function named(path: string, error: unknown): unknown {
  if (error instanceof InputError) return error
  if (error instanceof TableError) return new InputError(`${path}: ${error.message}`)
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : ""
  if (code === "ENOENT") return new InputError(`There is no file ${path}.`)
  if (code === "EISDIR") return new InputError(`${path} is a folder.`)
  if (code === "EACCES" || code === "EPERM") return new InputError(`${path} may not be read.`)
  if (code.startsWith("Z_")) return new InputError(`${path}: the gzip is broken (${code}).`)
  return error
}
