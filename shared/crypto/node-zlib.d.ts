/** What workerd has of `node:zlib`, as far as it is used: its types do not describe the modules of Node. */
declare module "node:zlib" {
  export function deflateRawSync(bytes: Uint8Array): Uint8Array
  export function inflateRawSync(bytes: Uint8Array, options: { readonly maxOutputLength: number }): Uint8Array
}
