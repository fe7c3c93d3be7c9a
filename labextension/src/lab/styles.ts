/** Style sheets of this extension, in the page. */

/** Adds a style sheet; resolves when the page has it, or cannot get it. */
export function addStyle(href: string): Promise<void> {
  return new Promise((resolve) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = href;
    link.onload = link.onerror = () => resolve();
    document.head.append(link);
  });
}
