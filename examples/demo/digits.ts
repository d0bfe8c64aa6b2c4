/** Small grey pictures: as PNG for the report, as text for the terminal. */
import { PNG } from 'pngjs';

/** A grey image of `width` x `height` bytes as a data URI, every pixel enlarged `scale` times. */
export function greyPng(pixels: ArrayLike<number>, width: number, height: number, scale = 1): string {
  const png = new PNG({
    width: width * scale,
    height: height * scale,
    colorType: 0,
    inputColorType: 0,
    inputHasAlpha: false,
  });
  png.data = Buffer.alloc(width * height * scale * scale);
  for (let y = 0; y < height * scale; y++) {
    for (let x = 0; x < width * scale; x++) {
      png.data[y * width * scale + x] = pixels[Math.floor(y / scale) * width + Math.floor(x / scale)];
    }
  }
  const bytes = PNG.sync.write(png, { colorType: 0, inputColorType: 0, inputHasAlpha: false });
  return `data:image/png;base64,${bytes.toString('base64')}`;
}

const shades = ' .:-=+*#%@';

/** One line of text per row, two characters per pixel so that the proportions are right. */
export function textArt(pixels: ArrayLike<number>, width: number, height: number): string {
  const lines: string[] = [];
  for (let y = 0; y < height; y++) {
    let line = '';
    for (let x = 0; x < width; x++) {
      const shade =
        shades[Math.min(shades.length - 1, Math.floor((pixels[y * width + x] / 256) * shades.length))];
      line += shade + shade;
    }
    lines.push(line.trimEnd());
  }
  return lines.join('\n');
}
