// What the build of the lab extension adds to the configuration of @jupyter/builder.

const { SwcJsMinimizerRspackPlugin } = require("@rspack/core");

module.exports = {
  context: __dirname,
  resolve: { extensions: [".ts", ".js"] },
  module: {
    rules: [
      {
        test: /\.ts$/,
        loader: "builtin:swc-loader",
        options: { jsc: { parser: { syntax: "typescript" }, target: "es2022" } },
        type: "javascript/auto",
      },
      {
        // A file beside the scripts, and not a string in one of them.
        test: /\.stylesheet$/,
        type: "asset/resource",
        generator: { filename: "[name].[contenthash].css" },
        loader: "builtin:lightningcss-loader",
        options: { minify: true, targets: ["chrome 120", "firefox 121", "safari 17.2"] },
      },
    ],
  },
  // Any other way of counting puts a hash of the path of this folder into the build: each checkout would make another one.
  optimization: {
    moduleIds: "natural",
    chunkIds: "natural",
    minimizer: [new SwcJsMinimizerRspackPlugin({ minimizerOptions: { ecma: 2022, compress: { passes: 3, ecma: 2022 }, mangle: true } })],
  },
};
