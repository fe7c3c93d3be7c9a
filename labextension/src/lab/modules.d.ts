/** A style sheet that the build puts beside the scripts; its address. */
declare module "*.css" {
  const href: string;
  export default href;
}
